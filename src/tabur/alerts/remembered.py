"""What watching remembers, as notes in the store: alerts, mutes, what was seen at the last look.

Every change is made on what was read, so that of several who look at once one changes an alert, and
that one tells it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from tabur.alerts.mutes import Mute
from tabur.alerts.state import Alert
from tabur.drivers.contract import Notes
from tabur.model.schedules import Note

T = TypeVar("T")

_PREFIX = "alert/"
#: Tries to change what others change at the same time.
_TRIES = 20


class Looks(msgspec.Struct, frozen=True):
    """When somebody looked, microseconds by the store's clock."""

    at: int


class KindsSeen(msgspec.Struct, frozen=True):
    """Kinds of errors, as `kinds.pack` makes them, and when they were looked for."""

    at: int
    kinds: Mapping[str, tuple[int, int, bool]]


class ChannelState(msgspec.Struct, frozen=True):
    """A channel that fails, since when, and why."""

    since: int
    error: str


class Remembered(Generic[T]):
    """A note as it was read; `revision` 0: it is new."""

    def __init__(self, name: str, value: T, revision: int) -> None:
        self.name, self.value, self.revision = name, value, revision


class Memory:
    """All of it, as it stood when it was read. What cannot be understood, since another version
    wrote it, counts as not there."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._read: dict[str, Note] = {}
        self.read()

    def read(self) -> None:
        """Raises StoreUnavailable, SchemaMissing."""
        self._read = {note.name: note for note in self._notes.read(_PREFIX)}

    def alerts(self) -> dict[str, Remembered[Alert]]:
        """By key."""
        return {each.value.key: each for each in self._all("state", Alert)}

    def alert(self, key: str) -> Remembered[Alert | None]:
        """Of one that may be new."""
        return self._one(_alert_name(key), Alert)

    def mutes(self) -> list[Remembered[Mute]]:
        return list(self._all("mute", Mute))

    def mute(self, rule: str, queue: str | None) -> Remembered[Mute | None]:
        return self._one(f"{_PREFIX}mute/{_short(' '.join((rule, queue or '')))}", Mute)

    def looks(self, of: str) -> Remembered[Looks | None]:
        """`of`: `all`, or a host."""
        return self._one(f"{_PREFIX}look/{_short(of)}", Looks)

    def beats(self, connection: str) -> Remembered[dict[str, tuple[int, int]] | None]:
        return self._one(f"{_PREFIX}beats/{connection}", dict[str, tuple[int, int]])

    def kinds(self, connection: str) -> Remembered[KindsSeen | None]:
        return self._one(f"{_PREFIX}kinds/{connection}", KindsSeen)

    def channel(self, name: str) -> Remembered[ChannelState | None]:
        return self._one(f"{_PREFIX}channel/{_short(name)}", ChannelState)

    def keep(self, seen: Remembered[Any], value: Any) -> bool:
        """Write it, or with None erase it, unless somebody has changed it since it was read."""
        if value == seen.value:
            return True
        if value is None:
            return seen.revision == 0 or self._notes.erase(seen.name, revision=seen.revision)
        packed = msgspec.json.encode(value)
        return self._notes.write(seen.name, packed, revision=seen.revision)

    def change(self, find: Callable[[], Remembered[T]], change: Callable[[T], Any]) -> bool:
        """As `keep`, again on what is there by now, until it can be written."""
        for _ in range(_TRIES):
            seen = find()
            if self.keep(seen, change(seen.value)):
                return True
            self.read()
        return False

    def _all(self, kind: str, type_: type[T]) -> Iterator[Remembered[T]]:
        for name in self._read:
            if name.startswith(f"{_PREFIX}{kind}/"):
                found = self._one(name, type_)
                if found.value is not None:
                    yield Remembered(name, found.value, found.revision)

    def _one(self, name: str, type_: Any) -> Remembered[Any]:
        note = self._read.get(name)
        if note is None:
            return Remembered(name, None, 0)
        try:
            return Remembered(name, msgspec.json.decode(note.value, type=type_), note.revision)
        except msgspec.MsgspecError:
            return Remembered(name, None, note.revision)


def _alert_name(key: str) -> str:
    return f"{_PREFIX}state/{key.partition('/')[0]}/{_short(key)}"


def _short(text: str) -> str:
    """A name that any store takes, however long and strange `text` is."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
