"""Waiting for work where the store tells nothing: looking often after work, seldom when idle."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from time import monotonic

#: Seconds between two looks soon after work, and how long that lasts.
OFTEN, OFTEN_FOR = 0.005, 10.0
SELDOM = 0.9


class PollingListener:
    """`worked` answers when (monotonic) this process last claimed or dispatched something."""

    def __init__(self, worked: Callable[[], float]) -> None:
        self._worked = worked
        self._pause = OFTEN
        self._wake = Interruption()

    def wait(self, timeout: float) -> bool:
        recent = monotonic() - self._worked() < OFTEN_FOR
        self._pause = OFTEN if recent else min(SELDOM, self._pause * 2)
        if self._wake.within(min(self._pause, timeout)):
            return True
        return self._pause <= timeout

    def interrupt(self) -> None:
        self._wake.set()

    def close(self) -> None:
        self._wake.close()


class Interruption:
    """Ends a wait from any thread or a signal handler; the file descriptor lets it be waited for
    beside others."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        return self._read.fileno()

    def set(self) -> None:
        with contextlib.suppress(OSError):  # full: the wait ends anyway; closed: nobody waits
            self._write.send(b"\x07")

    def within(self, seconds: float) -> bool:
        """Wait; True where it was set, once for however many times."""
        heard = bool(select.select([self._read], [], [], seconds)[0])
        if heard:
            self.clear()
        return heard

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(512):
                pass

    def close(self) -> None:
        self._read.close()
        self._write.close()
