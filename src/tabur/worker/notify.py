"""systemd's notify protocol (sd_notify(3)): ready, stopping, and still alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic

_MICRO = 1_000_000


class Notifier:
    """Does nothing unless whoever started this process listens at NOTIFY_SOCKET."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        watchdog = int(environment.get("WATCHDOG_USEC", "0") or 0)
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = watchdog / _MICRO / 2 if watchdog and mine else None
        self._said = ""
        self._alive_at = 0.0

    def tell(self, *, working: bool, stopping: bool) -> None:
        """Call it at each look; it says what is new."""
        if not self._address:
            return
        state = "STOPPING=1" if stopping else "READY=1" if working else ""
        if state and state != self._said and "STOPPING" not in self._said:
            self._said = state
            self._send(state)
        now = monotonic()
        if self._every is not None and now - self._alive_at >= self._every:
            self._alive_at = now
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.sendto(state.encode(), address)
