"""Waiting for work by LISTEN."""

from __future__ import annotations

import logging
import select
from collections.abc import Callable
from time import monotonic
from typing import Any

from tabur.drivers.database.stores.polling import Interruption

_log = logging.getLogger("tabur.database")

#: Seconds for which, after a notification or the beginning, one looks by itself, and the pause
#: between two looks. Longer than the pause between two notifications of one process: what it left
#: out is found by looking.
AWAKE, LOOK = 0.1, 0.005
#: Seconds between two tries to get a lost connection back: first and longest.
AGAIN_FIRST, AGAIN_LONGEST = 0.1, 5.0


class NotifyListener:
    """Hears notifications on a connection of its own. While that is lost, waits end only by their
    timeout, and it comes back by itself."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._wake = Interruption()
        self._connection: Any = None
        self._again_at, self._pause = 0.0, AGAIN_FIRST
        self._awake_until = 0.0
        self._listen()

    def wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        while True:
            if self._connection is None and monotonic() >= self._again_at:
                self._listen()
            now = monotonic()
            awake = now < self._awake_until
            heard = self._heard(min(deadline - now, LOOK if awake else AGAIN_LONGEST))
            if heard == "notified":
                self._awake_until = monotonic() + AWAKE
            if heard or (awake and deadline - now > LOOK):
                return True
            if monotonic() >= deadline:
                return False

    def interrupt(self) -> None:
        self._wake.set()

    def close(self) -> None:
        self._wake.close()
        if self._connection is not None:
            self._connection.close()

    def _heard(self, pause: float) -> str | None:
        """What ended a wait of at most `pause` seconds."""
        sockets: list[Any] = [self._wake]
        if self._connection is not None:
            sockets.append(self._connection)
        readable = select.select(sockets, [], [], max(0.0, pause))[0]
        notified = self._connection in readable and self._notified()
        if self._wake in readable:
            self._wake.clear()
            return "interrupted"
        return "notified" if notified else None

    def _notified(self) -> bool:
        try:
            client = self._connection.pgconn
            client.consume_input()
            notified = False
            while client.notifies() is not None:
                notified = True
        except Exception as error:  # whatever the client raises, the connection is of no use
            self._lost(error)
            return True
        return notified

    def _listen(self) -> None:
        try:
            self._connection = self._connect()
            self._connection.execute("LISTEN tabur")
            self._pause = AGAIN_FIRST
            self._awake_until = monotonic() + AWAKE
        except Exception as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        _log.info("Cannot hear of new work, looking for it once a second instead: %s", error)
        self._again_at = monotonic() + self._pause
        self._pause = min(self._pause * 2, AGAIN_LONGEST)
