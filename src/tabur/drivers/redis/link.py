"""The one connection on which a process runs its scripts."""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import Any

from hiredis import pack_command
from redis.exceptions import NoScriptError, RedisError, ResponseError

from tabur.drivers.redis.address import Address
from tabur.drivers.redis.durability import Durability
from tabur.drivers.redis.faults import Lost, has_moved, refused, unanswered
from tabur.drivers.redis.scripts import Keys, Script
from tabur.errors import StoreUnreachable

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
        self._heads: dict[Script, bytes] = {}
        self._connection: Any = None
        self._used = 0.0
        self._pid = os.getpid()

    def run(
        self,
        script: Script,
        *arguments: Word,
        keys: tuple[str, ...] | None = None,
        again: bool = False,
        durable: bool = False,
    ) -> Any:
        """The script's answer. `again`: once more on a new connection where the one we had turns
        out to be lost. `durable`: only once what the durability asks for is confirmed.

        Raises StoreUnreachable, StoreUnavailable, ConfigError.
        """
        confirmation = self._durability.command if durable else None
        with self._lock:
            calls = [self._call(script, keys or self._declared, arguments)]
            if confirmation is not None:
                calls.append(_packed(confirmation))
            answers = self._send(calls, script, again=again)
        if confirmation is not None:
            self._durability.confirm(self.address.shown, answers[1])
        return answers[0]

    def ask(self, *command: Word) -> Any:
        """The answer to a command that only reads, or that may be repeated."""
        with self._lock:
            return self._send([_packed(command)], None, again=True)[0]

    def close(self) -> None:
        with self._lock:
            self._hang_up()

    def _call(self, script: Script, keys: tuple[str, ...], arguments: tuple[Word, ...]) -> bytes:
        """EVALSHA in the protocol's form; what is the same each time is packed once."""
        head = self._heads.get(script)
        if head is None:
            head = self._heads[script] = _body(("EVALSHA", script.sha, len(keys), *keys))
        return b"*%d\r\n%b%b" % (3 + len(keys) + len(arguments), head, _body(arguments))

    def _send(self, calls: list[bytes], script: Script | None, *, again: bool) -> list[Any]:
        """The answers to calls that go out together; the first is the one that counts."""
        moves = 0
        load: list[bytes] = []
        lost: Exception | None = None
        while True:
            try:
                connection, is_new = self._connected()
            except StoreUnreachable as error:
                if lost is not None:  # it was sent, on the connection before
                    raise unanswered(self.address.shown, lost) from error
                raise
            try:
                answers = _round_trip(connection, load + calls)
            except NoScriptError:
                assert script is not None
                load = [_packed(("SCRIPT", "LOAD", script.text))]
            except Lost as error:
                self._hang_up()
                if not again or is_new or lost is not None:
                    raise unanswered(self.address.shown, error) from None
                lost = error
            except RedisError as error:
                moves += 1
                if has_moved(error):
                    self._hang_up()
                if not has_moved(error) or moves > _MOVES:
                    raise refused(self.address.shown, error) from None
            except BaseException:
                self._hang_up()  # an answer may still be on its way, and is nobody else's
                raise
            else:
                self._used = monotonic()
                return answers[len(load) :]

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
        self._connection = connection
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


def _round_trip(connection: Any, calls: list[bytes]) -> list[Any]:
    """Sends all, reads all answers, and raises the first error among them."""
    connection.send_packed_command(calls, check_health=False)
    answers: list[Any] = []
    refusal: ResponseError | None = None
    for _ in calls:
        try:
            answers.append(connection.read_response())
        except ResponseError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return answers


def _packed(words: tuple[Word, ...]) -> bytes:
    packed: bytes = pack_command(words)  # type: ignore[arg-type]  # its stub knows one word only
    return packed


def _body(words: tuple[Word, ...]) -> bytes:
    """The words of a command as sent, without their number before them."""
    packed = _packed(words)
    return packed[packed.index(b"\n") + 1 :]
