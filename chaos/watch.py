"""Sees every process of a scenario end, at the moment it does."""

from __future__ import annotations

import os
import select
import threading
import time
from pathlib import Path

#: Milliseconds between two looks for processes that are new.
LOOK = 10


class Watch(threading.Thread):
    """`gone` has, by process that has imported the app, when it ended (monotonic nanoseconds):
    later than it did by as long as this machine kept us waiting, never earlier."""

    def __init__(self, place: Path) -> None:
        super().__init__(name="chaos-watch", daemon=True)
        self.gone: dict[int, int] = {}
        self._place = place
        self._known: set[int] = set()
        self._open: dict[int, int] = {}
        self._poll = select.poll()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            self._look_for_new_ones()
            for descriptor, _ in self._poll.poll(LOOK):
                self._poll.unregister(descriptor)
                self.gone[self._open.pop(descriptor)] = time.monotonic_ns()
                os.close(descriptor)

    def stop(self) -> None:
        self._over.set()
        self.join()
        for descriptor in self._open:
            os.close(descriptor)

    def _look_for_new_ones(self) -> None:
        for file in self._place.glob("*.processes"):
            pid = int(file.stem)
            if pid in self._known:
                continue
            self._known.add(pid)
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                self.gone[pid] = time.monotonic_ns()
                continue
            self._open[descriptor] = pid
            self._poll.register(descriptor, select.POLLIN)
