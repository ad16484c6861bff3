"""Waiting for work: one subscription, polled together with a socket on which it is interrupted."""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from time import monotonic
from typing import Any

from redis.exceptions import RedisError

from tabur.drivers.redis.address import Address
from tabur.drivers.redis.faults import Lost
from tabur.errors import TaburError

#: Seconds of silence after which the server is asked whether it is still there, and until its
#: answer must have come.
PING_AFTER, PONG_WITHIN = 15.0, 5.0
#: Seconds between two tries to connect: first and longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0


class RedisListener:
    """Hears the messages on one channel. Without a connection it only waits, and connects again by
    itself; whatever happened meanwhile counts as heard, so that the worker looks."""

    def __init__(self, address: Address, channel: str) -> None:
        self._address = address
        self._channel = channel
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._connection: Any = None
        self._heard = 0.0
        self._pinged = False
        self._retry_at, self._pause = 0.0, RETRY_FIRST
        self._connect()

    def wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        while True:
            now = monotonic()
            if self._connection is None and now >= self._retry_at and self._connect():
                return True
            if self._is_silent(now):
                continue
            pause = max(0.0, min(deadline, self._next_look(), now + 60.0) - now)
            ready = self._poll(pause)
            if self._wake_r in ready:
                with suppress(BlockingIOError):
                    while self._wake_r.recv(512):
                        pass
                return True
            if ready and self._read():
                return True
            if monotonic() >= deadline:
                return False

    def interrupt(self) -> None:
        with suppress(BlockingIOError):
            self._wake_w.send(b"\x07")

    def close(self) -> None:
        self._hang_up()
        self._wake_r.close()
        self._wake_w.close()

    def _connect(self) -> bool:
        """Whether there is a subscription again."""
        try:
            connection, _ = self._address.open()
            connection.send_command("SUBSCRIBE", self._channel)
            connection.read_response()
        except (TaburError, RedisError, *Lost):
            self._retry_at = monotonic() + self._pause
            self._pause = min(self._pause * 2, RETRY_LONGEST)
            return False
        self._connection, self._pause = connection, RETRY_FIRST
        self._heard, self._pinged = monotonic(), False
        return True

    def _is_silent(self, now: float) -> bool:
        """Asks after a long silence, and gives up a connection that does not answer. True where
        something has changed by it."""
        if self._connection is None or now < self._next_look():
            return False
        if self._pinged:
            self._hang_up()
            return True
        try:
            self._connection.send_command("PING", check_health=False)
        except (RedisError, *Lost):
            self._hang_up()
        self._pinged = True
        return True

    def _next_look(self) -> float:
        """When to ping, to give up or to connect."""
        if self._connection is None:
            return self._retry_at
        return self._heard + PING_AFTER + (PONG_WITHIN if self._pinged else 0.0)

    def _poll(self, pause: float) -> list[Any]:
        sockets = [self._wake_r]
        if self._connection is not None:
            if self._connection.can_read():  # what TLS or the parser has buffered already
                return [self._connection]
            sockets.append(self._connection._sock)  # redis-py keeps it to itself
        return select.select(sockets, [], [], pause)[0]

    def _read(self) -> bool:
        """Read what has come; whether it was news rather than the answer to a ping."""
        news = False
        try:
            while self._connection.can_read():
                answer = self._connection.read_response()
                news = news or answer[0] == b"message"
        except (RedisError, *Lost):
            self._hang_up()
            return True
        self._heard, self._pinged = monotonic(), False
        return news

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None
            self._retry_at = 0.0
