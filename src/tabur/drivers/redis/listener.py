"""Waiting for work: one subscription, polled together with a socket on which it is interrupted."""

from __future__ import annotations

import math
import select
import socket
import threading
from contextlib import suppress
from ssl import SSLWantReadError
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
LONGEST_POLL = 3600.0


class RedisListener:
    """Hears the messages on one channel. Without a connection it only waits, and connects again in
    the background; whatever happened meanwhile counts as heard, so that the worker looks."""

    def __init__(self, address: Address, channel: str) -> None:
        self._address = address
        self._channel = channel
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._lock = threading.Lock()
        self._connecting = self._closed = False
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._fresh = False
        """There is a new connection, and what came before it was not heard."""
        self._heard = 0.0
        self._pinged = False
        self._retry_at, self._pause = 0.0, RETRY_FIRST
        self._connect()

    def wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        while True:
            now = monotonic()
            if now >= self._next_look():
                self._look()
            if self._fresh:
                self._fresh = False
                return True
            for each in self._poll(max(0.0, min(deadline, self._next_look()) - now)):
                heard = self._was_interrupted() if each is self._wake_r else self._read()
                if heard:
                    return True
            if monotonic() >= deadline:
                return False

    def interrupt(self) -> None:
        self._ring(_INTERRUPT)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._hang_up()
            self._wake_r.close()
            self._wake_w.close()

    def _next_look(self) -> float:
        """When to connect, to ask whether the server is there, or to give it up."""
        if self._connecting:
            return math.inf
        if self._connection is None:
            return self._retry_at
        return self._heard + PING_AFTER + (PONG_WITHIN if self._pinged else 0.0)

    def _look(self) -> None:
        if self._connection is not None and not self._pinged:
            self._pinged = True
            try:
                self._connection.send_command("PING", check_health=False)
            except (RedisError, *Lost):
                self._hang_up()
            return
        self._hang_up()
        self._connecting = True
        threading.Thread(target=self._connect, name="tabur-listener", daemon=True).start()

    def _connect(self) -> None:
        """A server that does not answer takes its time: not the worker's."""
        connection: Any = None
        try:
            connection, _ = self._address.open()
            connection.send_command("SUBSCRIBE", self._channel)
            connection.read_response()
        except (TaburError, RedisError, *Lost):
            if connection is not None:
                connection.disconnect()
                connection = None
        with self._lock:
            self._connecting = False
            if self._closed:
                if connection is not None:
                    connection.disconnect()
                return
            if connection is None:
                self._retry_at = monotonic() + self._pause
                self._pause = min(self._pause * 2, RETRY_LONGEST)
            else:
                self._connection, self._fresh, self._pause = connection, True, RETRY_FIRST
                self._socket = connection._sock  # redis-py keeps it to itself
                connection._sock.setblocking(False)
                self._heard, self._pinged = monotonic(), False
            self._ring(_LOOK)

    def _poll(self, pause: float) -> list[socket.socket]:
        sockets = [self._wake_r]
        if self._socket is not None:
            sockets.append(self._socket)
        return select.select(sockets, [], [], min(pause, LONGEST_POLL))[0]

    def _was_interrupted(self) -> bool:
        """Or only told to look."""
        received = b""
        with suppress(BlockingIOError):
            while more := self._wake_r.recv(512):
                received += more
        return _INTERRUPT in received

    def _read(self) -> bool:
        """Take all that has come; whether it was news rather than the answer to a ping. Nobody
        needs to know what a message says."""
        assert self._socket is not None
        received = b""
        try:
            while more := self._socket.recv(4096):
                received += more
        except (BlockingIOError, SSLWantReadError):
            self._heard, self._pinged = monotonic(), False
            return received.replace(_PONG, b"") != b""
        except OSError:
            pass
        self._hang_up()
        return True

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = self._socket = None
            self._retry_at = self._heard + RETRY_FIRST

    def _ring(self, sign: bytes) -> None:
        with suppress(OSError):  # full: the wait ends anyway; closed: nobody waits
            self._wake_w.send(sign)


_INTERRUPT, _LOOK = b"!", b"."
_PONG = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
