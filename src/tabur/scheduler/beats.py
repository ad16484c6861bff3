"""What a scheduler leaves in the store: that it is well, and a look at whether it is to end."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.model.beats import BEATS, INTERRUPT, SchedulerBeat, read_beat
from tabur.model.clock import SECOND

#: Seconds between two beats, and between two looks whether it is to end.
BEAT = 5.0
#: Seconds after which the last beat of one that has died is removed.
FORGOTTEN = 7 * 86_400
#: Seconds from one call by crontab to the next.
MINUTE = 60.0


class Beat:
    """The note of one scheduler. `kind`: `work`, or `run` for what crontab calls."""

    def __init__(self, driver: Driver, name: str, kind: str, *, version: str = "") -> None:
        self._driver = driver
        self._name = name
        self._kind = kind
        self._version = version
        self._revision: int | None = None

    def beat(self) -> None:
        """Raises StoreError."""
        if self._revision is None:
            self._revision = self._look()
        beat = SchedulerBeat(
            self._name,
            self._kind,
            socket.gethostname(),
            os.getpid(),
            self._driver.now(),
            BEAT if self._kind == "work" else MINUTE,
            self._version,
        )
        written = self._driver.notes.write(
            BEATS + self._name, msgspec.json.encode(beat), revision=self._revision
        )
        self._revision = self._revision + 1 if written else None

    def end(self) -> None:
        """It ends as it should: nobody is to miss it."""
        with suppress(StoreError):
            if self._revision is not None:
                self._driver.notes.erase(BEATS + self._name, revision=self._revision)

    def _look(self) -> int:
        """Its revision; those of the long dead are removed by the way."""
        own, old = 0, self._driver.now() - FORGOTTEN * SECOND
        for note in self._driver.notes.read(BEATS):
            if note.name == BEATS + self._name:
                own = note.revision
            elif (beat := read_beat(note.value)) is None or beat.at < old:
                self._driver.notes.erase(note.name, revision=note.revision)
        return own


class Interrupts:
    """Whether `schedule:interrupt` was said since this scheduler began."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._seen = 0

    def begin(self) -> None:
        """Raises StoreError."""
        self._seen = self._revision()

    def came(self) -> bool:
        """Raises StoreError."""
        return self._revision() != self._seen

    def say(self) -> None:
        """Let all schedulers of now end. Raises StoreError."""
        while not self._driver.notes.write(INTERRUPT, b"", revision=self._revision()):
            pass  # somebody else said so just then; it may as well be said twice

    def _revision(self) -> int:
        return next(
            (
                note.revision
                for note in self._driver.notes.read(INTERRUPT)
                if note.name == INTERRUPT
            ),
            0,
        )
