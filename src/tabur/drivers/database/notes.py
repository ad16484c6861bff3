"""Small things to remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from tabur.drivers.database.rows import names
from tabur.drivers.database.schema import notes
from tabur.drivers.database.statements import ONE
from tabur.drivers.database.store import Store
from tabur.model.schedules import Note, check_name, check_note

P = bindparam


class DatabaseNotes:
    """No write is repeated where its answer was lost: the second time it would tell that it came
    too late."""

    def __init__(self, store: Store) -> None:
        self._store = store
        n = notes.c
        self._all_from = store.prepare(
            select(*n).where(n.name >= P("from_")).order_by(n.name), "from_"
        )
        self._between = store.prepare(
            select(*n).where(n.name >= P("from_"), n.name < P("to_")).order_by(n.name),
            "from_",
            "to_",
        )
        self._insert = store.prepare(store.ignoring_known(insert(notes)), *names(notes))
        self._change = store.prepare(
            update(notes)
            .where(n.name == P("which"), n.revision == P("seen"))
            .values(value=P("value_"), revision=n.revision + ONE),
            *("value_", "which", "seen"),
        )
        self._delete = store.prepare(
            delete(notes).where(n.name == P("which"), n.revision == P("seen")), "which", "seen"
        )

    def read(self, prefix: str) -> Sequence[Note]:
        if prefix:
            check_name(prefix)
        end = _behind(prefix)
        with self._store.read() as cursor:
            if end is None:
                rows = self._all_from.all(cursor, prefix)
            else:
                rows = self._between.all(cursor, prefix, end)
        return [Note(*row) for row in rows]

    def write(self, name: str, value: bytes, *, revision: int) -> bool:
        check_name(name)
        check_note(value)

        def write(cursor: Any) -> int:
            if revision == 0:
                return self._insert.run(cursor, name, value, 1)
            return self._change.run(cursor, value, name, revision)

        return self._store.alone(write, repeat=False) == 1

    def erase(self, name: str, *, revision: int) -> bool:
        check_name(name)
        erased = self._store.alone(
            lambda cursor: self._delete.run(cursor, name, revision), repeat=False
        )
        return erased == 1


_LAST = "\U0010ffff"
_SURROGATES = range(0xD800, 0xE000)


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with `prefix`, in the order of characters; None where
    there is none."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return kept[:-1] + chr(following)
