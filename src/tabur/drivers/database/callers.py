"""What is done in callers' own transactions, by whatever client a caller's engine uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert
from sqlalchemy.exc import DBAPIError

from tabur.drivers.database.admission import Admission, is_bound
from tabur.drivers.database.bonds import Following
from tabur.drivers.database.rows import RECORD, WAIT, WORK, Rows, record_row, split
from tabur.drivers.database.schema import ready, records, waiting
from tabur.drivers.database.statements import Row
from tabur.drivers.database.store import Store
from tabur.errors import SchemaMissing
from tabur.model.batches import NewBatch, check_named
from tabur.model.ids import made_from_key
from tabur.model.records import NewJob

#: Keys in one statement.
KEYS = 500


class CallersTransaction:
    """Only inserts, but for unique keys: nothing else of the queue is locked until the caller
    commits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._insert = insert(records)
        self._insert_unless_known = store.ignoring_known(insert(records))
        self._delete = delete(records)
        source = _OnConnections(store)
        rows = Rows(source)
        self._admission = Admission(source, rows, Following(source, rows))

    def dispatch(
        self, connection: Connection, jobs: Sequence[NewJob], batches: Sequence[NewBatch], now: int
    ) -> Mapping[bytes, bytes]:
        check_named(jobs, batches)
        try:
            # Only an id made from a key can be there already. Looking for each would begin the
            # caller's transaction with a read, which SQLite may refuse to let write later.
            new = [
                job for job in jobs if not made_from_key(job.id) or self._is_new(connection, job)
            ]
            if not (batches or is_bound(new)):
                self._put(connection, new, now)
                return {}
            return self._admission.dispatch(
                *(connection, new, batches, now),
                put=self._put,
                refuse=partial(self._refuse, connection),
            ).holders
        except DBAPIError as error:
            if self._store.has_no_tables(error):
                raise SchemaMissing(str(self._store)) from error
            raise

    def _put(self, connection: Connection, jobs: Sequence[NewJob], now: int) -> bool:
        """Insert what is new; the records of ids that were made from a key are there."""
        fresh = [job for job in jobs if not made_from_key(job.id)]
        if fresh:
            connection.execute(self._insert, _dicts(RECORD, map(record_row, fresh)))
        to_ready, to_waiting = split(jobs, now)
        if to_ready:
            connection.execute(insert(ready), _dicts(WORK, to_ready))
        if to_waiting:
            connection.execute(insert(waiting), _dicts(WAIT, to_waiting))
        return bool(to_ready)

    def _refuse(self, connection: Connection, job: NewJob) -> None:
        if made_from_key(job.id):
            connection.execute(self._delete.where(records.c.id == job.id))

    def _is_new(self, connection: Connection, job: NewJob) -> bool:
        row = dict(zip(RECORD, record_row(job), strict=True))
        kept = {"preserve_rowcount": True}  # else some clients forget it
        done = connection.execute(self._insert_unless_known, row, execution_options=kept)
        return done.rowcount == 1


def moves_of_callers(store: Store) -> tuple[Rows, Following]:
    """The moves of rows, each on a caller's connection in place of a cursor of ours."""
    source = _OnConnections(store)
    rows = Rows(source)
    return rows, Following(source, rows)


class _OnConnections:
    """Makes statements for callers' connections."""

    def __init__(self, store: Store) -> None:
        self.hot = store.hot
        self.ignoring_known = store.ignoring_known
        self.replacing = store.replacing

    def prepare(self, statement: Any, *names: str) -> _OnConnection:
        return _OnConnection(statement, names)

    def keyed(self, statement: Any, column: Any, *names: str) -> _KeyedOnConnection:
        keys: BindParameter[Any] = bindparam("keys", expanding=True)
        return _KeyedOnConnection(self.prepare(statement.where(column.in_(keys)), *names, "keys"))

    def inserting(self, table: Any) -> _OnConnection:
        return self.prepare(insert(table), *(each.name for each in table.columns))

    def inserting_new(self, table: Any) -> _OnConnection:
        new = self.ignoring_known(insert(table))
        return self.prepare(new, *(each.name for each in table.columns))


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
        found = self.all(place, *values)
        return found[0] if found else None

    def all(self, place: Connection, *values: object) -> Sequence[Row]:
        found = place.execute(self._statement, dict(zip(self._names, values, strict=True)))
        return [tuple(row) for row in found]

    def many(self, place: Connection, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        given = _dicts(self._names, rows)
        return place.execute(self._statement, given[0] if len(given) == 1 else given).rowcount


class _KeyedOnConnection:
    """Lists of keys, of a length that any client takes."""

    __slots__ = ("_prepared",)

    def __init__(self, prepared: _OnConnection) -> None:
        self._prepared = prepared

    def run(self, place: Connection, keys: Iterable[object], *values: object) -> int:
        return sum(self._prepared.run(place, *values, chunk) for chunk in _chunks(keys))

    def all(self, place: Connection, keys: Iterable[object], *values: object) -> Sequence[Row]:
        return [row for each in _chunks(keys) for row in self._prepared.all(place, *values, each)]


def _chunks(keys: Iterable[object]) -> Iterator[list[object]]:
    left = iter(keys)
    while chunk := list(islice(left, KEYS)):
        yield chunk


def _dicts(names: Sequence[str], rows: Any) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
