"""systemd's notify protocol (sd_notify(3)): ready, what it does, stopping, and still alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from time import monotonic

_MICRO = 1_000_000
#: Seconds between two lines for people.
STATUS_EVERY = 1.0


class Notifier:
    """Does nothing unless whoever started this process listens at NOTIFY_SOCKET. `clock` in
    seconds."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._every = _watchdog(environment)
        self._clock = clock
        self._state = self._status = ""
        self._alive_at: float | None = None
        self._shown_at: float | None = None

    @property
    def is_heard(self) -> bool:
        return bool(self._address)

    def tell(self, *, working: bool, stopping: bool, status: str = "") -> None:
        """Call it at each look; it says what is new, and in time that the process lives. `status`
        is one line for people."""
        if not self._address:
            return
        state = "STOPPING=1" if stopping else "READY=1" if working else self._state
        now, news = self._clock(), []
        if state != self._state:
            news.append(state)
        if status != self._status and (news or _is_time(self._shown_at, STATUS_EVERY, now)):
            news.append(f"STATUS={status}")
        if self._every and _is_time(self._alive_at, self._every, now):
            news.append("WATCHDOG=1")
        if news and self._send("\n".join(news)):
            self._state = state
            if f"STATUS={status}" in news:
                self._status, self._shown_at = status, now
            if "WATCHDOG=1" in news:
                self._alive_at = now

    def _send(self, news: str) -> bool:
        """Without waiting: who does not read is to hold up nobody. False: to be said again."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.setblocking(False)
                door.sendto(news.encode(), self._address)
        except OSError:
            return False
        return True


def _is_time(last: float | None, every: float, now: float) -> bool:
    return last is None or now - last >= every


def _address(given: str) -> str:
    """A path, or a name of Linux's own, which begins with @. What else there may be (vsock) is for
    machines, not for services."""
    if given.startswith("@"):
        return f"\0{given[1:]}"
    return given if given.startswith("/") else ""


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Seconds between two signs of life: half of what is waited for; None: none is."""
    pid = environment.get("WATCHDOG_PID") or str(os.getpid())
    given = environment.get("WATCHDOG_USEC", "")
    if pid != str(os.getpid()) or not given.isdecimal():
        return None
    return int(given) / _MICRO / 2 or None
