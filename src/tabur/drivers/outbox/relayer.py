"""Relaying in the background: soon after a commit, or every so often."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tabur.errors import TaburError

_log = logging.getLogger("tabur.outbox")

#: Seconds between looks after a commit was announced: its announcement comes just before it.
_LOOKS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)


class Relayer:
    """A thread that calls `relay`, started when first needed. What fails is said once, and tried
    again with the next commit or the next round."""

    def __init__(self, relay: Callable[[], int]) -> None:
        self._relay = relay
        self._every: float | None = None
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failing = False

    def soon(self) -> None:
        """A transaction that has put jobs is committing. Never waits, never fails."""
        self._wanted.set()
        self._start()

    def always(self, every: float) -> None:
        self._every = every
        self._wanted.set()
        self._start()

    def close(self) -> None:
        self._closed.set()
        self._wanted.set()
        with self._lock:
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(10.0)
            self._thread = None

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            # A fork leaves the thread behind: then it is here, and not alive.
            if self._thread is None or not self._thread.is_alive():
                self._closed.clear()
                self._thread = threading.Thread(target=self._run, name="tabur-outbox", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            asked = self._wanted.wait(self._every)
            self._wanted.clear()
            for pause in _LOOKS if asked else _LOOKS[:1]:
                if self._closed.wait(pause) or self._look():
                    break

    def _look(self) -> bool:
        """Whether there is nothing to look for any more: it was found, or cannot be had now."""
        try:
            relayed = self._relay()
        except TaburError as error:
            if not self._failing:
                _log.warning("Jobs wait in the outbox, and are brought later: %s", error)
            self._failing = True
            return True
        except Exception:
            _log.exception("Relaying the outbox failed, and goes on")
            return True
        if self._failing:
            _log.warning("Jobs are brought from the outbox again")
        self._failing = False
        return relayed > 0
