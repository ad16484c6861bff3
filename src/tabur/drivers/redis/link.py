"""The one connection on which a process runs its scripts."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from tabur.drivers.redis.address import Address, Server
from tabur.drivers.redis.durability import Durability
from tabur.drivers.redis.faults import Lost, has_moved, refused, unanswered
from tabur.drivers.redis.scripts import Keys, Script

Word = str | bytes | int
#: Seconds of silence after which it is looked whether the other side has hung up.
_SILENCE = 1.0
#: How often a command follows a server that has handed its work to another.
_MOVES = 3


class Link:
    """Connects when it must, and again after a loss. Threads take turns.

    redis-py's own retries are not used: what may have been done is sent again only where the caller
    says that this is safe.
    """

    def __init__(self, address: Address, keys: Keys, durability: Durability) -> None:
        self.address = address
        self._declared = keys.declared()
        self._durability = durability
        self._lock = threading.Lock()
        self._connection: Any = None
        self._server: Server | None = None
        self._used = 0.0
        self._pid = os.getpid()

    def run(
        self,
        script: Script,
        *arguments: Word,
        keys: Sequence[str] | None = None,
        again: bool = False,
        durable: bool = False,
    ) -> Any:
        """The script's answer. `again`: once more on a new connection where the one we had turns
        out to be lost. `durable`: only once what the durability asks for is confirmed.

        Raises StoreUnreachable, StoreUnavailable, ConfigError.
        """
        keys = self._declared if keys is None else keys
        command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        with self._lock:
            return self._send(command, script, again=again, durable=durable)

    def ask(self, *command: Word) -> Any:
        """The answer to a command that only reads, or that may be repeated."""
        with self._lock:
            return self._send(command, None, again=True, durable=False)

    def server(self) -> Server:
        """What the server told when we connected, just now if need be."""
        with self._lock:
            self._connected()
            assert self._server is not None
            return self._server

    def close(self) -> None:
        with self._lock:
            self._hang_up()

    def _send(
        self, command: tuple[Word, ...], script: Script | None, *, again: bool, durable: bool
    ) -> Any:
        moves = 0
        while True:
            connection, is_new = self._connected()
            try:
                return self._round_trip(connection, command, durable=durable)
            except NoScriptError:
                assert script is not None
                self._round_trip(connection, ("SCRIPT", "LOAD", script.text), durable=False)
            except Lost as error:
                self._hang_up()
                if not again or is_new:
                    raise unanswered(self.address.shown, error) from None
                again = False
            except RedisError as error:
                if not has_moved(error):
                    raise refused(self.address.shown, error) from None
                self._hang_up()
                moves += 1
                if moves > _MOVES:
                    raise refused(self.address.shown, error) from None
            except BaseException:
                self._hang_up()  # an answer may still be on its way, and is nobody else's
                raise

    def _round_trip(self, connection: Any, command: tuple[Word, ...], *, durable: bool) -> Any:
        confirmation = self._durability.command if durable else None
        if confirmation is None:
            connection.send_packed_command(connection.pack_command(*command), check_health=False)
            answer = connection.read_response()
        else:
            packed = connection.pack_commands([command, confirmation])
            connection.send_packed_command(packed, check_health=False)
            try:
                answer = connection.read_response()
            finally:
                confirmed = connection.read_response()
            self._durability.confirm(self.address.shown, confirmed)
        self._used = monotonic()
        return answer

    def _connected(self) -> tuple[Any, bool]:
        """A connection, and whether it is new."""
        if self._pid != os.getpid():
            self._connection, self._pid = None, os.getpid()  # the parent's, after a fork
        if self._connection is not None and monotonic() - self._used > _SILENCE:
            self._hang_up_if_dead()
        if self._connection is not None:
            return self._connection, False
        connection, server = self.address.open()
        try:
            self._durability.check(self.address.shown, server)
        except BaseException:
            connection.disconnect()
            raise
        self._connection, self._server = connection, server
        return connection, True

    def _hang_up_if_dead(self) -> None:
        """Nothing is to be read on a connection that is idle, unless it has ended."""
        try:
            ended = self._connection.can_read()
        except (RedisError, *Lost):
            ended = True
        if ended:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None
