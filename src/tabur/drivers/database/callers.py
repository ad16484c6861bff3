"""What is done in callers' own transactions, by whatever client a caller's engine uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError

from tabur.drivers.database.rows import RECORD, WAIT, WORK, Rows, record_row, split
from tabur.drivers.database.schema import ready, records, waiting
from tabur.drivers.database.statements import Row
from tabur.drivers.database.store import Store
from tabur.errors import SchemaMissing
from tabur.model.ids import made_from_key
from tabur.model.records import NewJob


class CallersTransaction:
    """Only inserts: nothing else of the queue is locked until the caller commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._insert = insert(records)
        self._insert_unless_known = store.ignoring_known(insert(records))

    def insert(self, connection: Connection, jobs: Sequence[NewJob], now: int) -> None:
        try:
            # Only an id made from a key can be there already. Looking for each would begin the
            # caller's transaction with a read, which SQLite may refuse to let write later.
            fresh = [job for job in jobs if not made_from_key(job.id)]
            if fresh:
                connection.execute(self._insert, _dicts(RECORD, map(record_row, fresh)))
            keyed = [job for job in jobs if made_from_key(job.id)]
            new = {job.id for job in keyed if self._is_new(connection, job)}
            to_ready, to_waiting = split(
                [job for job in jobs if job.id in new or not made_from_key(job.id)], now
            )
            if to_ready:
                connection.execute(insert(ready), _dicts(WORK, to_ready))
            if to_waiting:
                connection.execute(insert(waiting), _dicts(WAIT, to_waiting))
        except DBAPIError as error:
            if self._store.has_no_tables(error):
                raise SchemaMissing(str(self._store)) from error
            raise

    def _is_new(self, connection: Connection, job: NewJob) -> bool:
        row = dict(zip(RECORD, record_row(job), strict=True))
        kept = {"preserve_rowcount": True}  # else some clients forget it
        done = connection.execute(self._insert_unless_known, row, execution_options=kept)
        return done.rowcount == 1


def rows_of_callers(store: Store) -> Rows:
    """The moves of single rows, each on a caller's connection in place of a cursor of ours."""
    return Rows(_OnConnections(store))


class _OnConnections:
    """Makes statements for callers' connections."""

    def __init__(self, store: Store) -> None:
        self.hot = store.hot
        self.ignoring_known = store.ignoring_known
        self.replacing = store.replacing

    def prepare(self, statement: Any, *names: str) -> _OnConnection:
        return _OnConnection(statement, names)


class _OnConnection:
    """A statement that SQLAlchemy compiles for each client, and caches."""

    __slots__ = ("_names", "_statement")

    def __init__(self, statement: Any, names: Sequence[str]) -> None:
        # Else some clients forget how many rows an insert has brought in.
        self._statement = statement.execution_options(preserve_rowcount=True)
        self._names = names

    def run(self, place: Connection, *values: object) -> int:
        return self.many(place, [values])

    def one(self, place: Connection, *values: object) -> Row | None:
        found = place.execute(self._statement, dict(zip(self._names, values, strict=True))).first()
        return None if found is None else tuple(found)

    def many(self, place: Connection, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        given = _dicts(self._names, rows)
        return place.execute(self._statement, given[0] if len(given) == 1 else given).rowcount


def _dicts(names: Sequence[str], rows: Any) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
