"""What middleware in all workers knows together: small values in the store's notes, each changed by
who has seen its last revision."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from hashlib import sha256
from random import random
from time import sleep
from typing import Generic, TypeVar

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import ConfigError, StoreUnavailable
from tabur.jobs.context import JobContext
from tabur.model.clock import SECOND
from tabur.model.schedules import Note

T = TypeVar("T")

PREFIX = "middleware/"
#: How long a value that says nothing any more is kept: longer than anybody takes who has read it
#: and is about to change it. One made anew meanwhile would begin with the revisions of before.
LINGER = 3600 * SECOND
#: Tries to change a value that others change at the same time.
_TRIES = 50
#: One change in so many looks for values that say nothing any more, among a 256th of all.
_SWEEP = 64
#: Seconds after which a job comes again that could not ask.
_LATER = 1.0
_LOCKS = 16
_log = logging.getLogger("tabur.job")


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    until: int
    """From then on it says nothing any more, and may be removed; microseconds."""


S = TypeVar("S", bound=Remembered)


class Holder(msgspec.Struct, frozen=True):
    """A claim that something rests on."""

    job: bytes
    token: bytes
    worker: str

    @classmethod
    def of(cls, job: JobContext) -> Holder:
        return cls(job.job.id, job.job.token, job.backing.worker)

    def is_over(self, driver: Driver) -> bool:
        """Whether its claim is known to have moved on: it has ended, or its worker has died."""
        return (self.job, self.token) not in driver.claiming.held(self.worker)


class _Crowded(Exception):
    def __init__(self) -> None:
        super().__init__("others have changed each time what it was to change")


class Shared(Generic[S]):
    """The values of one kind of middleware, by key."""

    def __init__(self, kind: str, of: type[S]) -> None:
        self._kind = kind
        self._decoder = msgspec.msgpack.Decoder(of)
        # Threads of one process wait for each other here; in the store they would all try at once.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def change(
        self,
        job: JobContext,
        key: tuple[str, str],
        step: Callable[[S | None, int], tuple[S | None, T]],
    ) -> T:
        """Ask `step`, which gets the value (None: there is none) and the store's time, for the new
        value (None: leave it) and an answer. It is asked again where somebody else was first.
        Raises StoreUnavailable."""
        if job.open_session is not None:
            raise ConfigError(
                "InTransaction stands before middleware that asks the store, which would wait for "
                "the transaction that it is in: put InTransaction last."
            )
        name = self._name(key)
        with self._locks[hash(name) % _LOCKS]:
            return self._change(job.backing.driver, name, step)

    def ask(
        self,
        job: JobContext,
        key: tuple[str, str],
        step: Callable[[S | None, int], tuple[S | None, T]],
    ) -> T:
        """As `change`, before the job has begun: where the store does not answer, it comes again,
        and no attempt is spent."""
        try:
            return self.change(job, key, step)
        except (StoreUnavailable, _Crowded) as error:
            _log.warning("%s %s waits: %s", job.name, job.job_id, error)
            job.snooze(_LATER * (1 + random()))

    def tell(
        self,
        job: JobContext,
        key: tuple[str, str],
        step: Callable[[S | None, int], tuple[S | None, None]],
    ) -> None:
        """As `change`, after the job's function has ended: that counts, whatever the store says."""
        try:
            self.change(job, key, step)
        except (StoreUnavailable, _Crowded) as error:
            _log.warning("%s of %s %s is not told: %s", self._kind, job.name, job.job_id, error)

    def _change(
        self, driver: Driver, name: str, step: Callable[[S | None, int], tuple[S | None, T]]
    ) -> T:
        for tries in range(_TRIES):
            note = next((each for each in driver.notes.read(name) if each.name == name), None)
            now = driver.now()
            value, answer = step(self._value(note, now), now)
            if value is None:
                return answer
            kept = msgspec.msgpack.encode(value)
            if driver.notes.write(name, kept, revision=note.revision if note else 0):
                if random() * _SWEEP < 1:
                    _sweep(driver, name[: len(PREFIX) + 2])
                return answer
            sleep(random() * min(tries, 10) / 1000)
        raise _Crowded

    def _value(self, note: Note | None, now: int) -> S | None:
        if note is None:
            return None
        try:
            value = self._decoder.decode(note.value)
        except msgspec.MsgspecError:  # of another version
            return None
        return value if now < value.until else None

    def _name(self, key: tuple[str, str]) -> str:
        """Of one length, so that none is the beginning of another."""
        return PREFIX + sha256(repr((self._kind, key)).encode("utf-8", "replace")).hexdigest()[:40]


def _sweep(driver: Driver, prefix: str) -> None:
    now = driver.now()
    for note in driver.notes.read(prefix):
        try:
            until = _any.decode(note.value).until
        except msgspec.MsgspecError:
            continue
        if until + LINGER < now:
            driver.notes.erase(note.name, revision=note.revision)


_any = msgspec.msgpack.Decoder(Remembered)
