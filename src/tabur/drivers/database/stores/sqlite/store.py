"""SQLite as the driver's store: a file, one writer, a bell beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, bindparam, event
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL

from tabur.drivers.contract import Listener
from tabur.drivers.database.engines import make_async_engine, make_engine
from tabur.drivers.database.statements import Keyed, Prepared, Row
from tabur.drivers.database.store import Store, Transaction, Words, all_but_id
from tabur.drivers.database.stores.sqlite.file import SqliteFile
from tabur.drivers.database.stores.sqlite.hot import SqliteHot
from tabur.drivers.database.stores.sqlite.wake import Bell, DatabaseListener
from tabur.errors import SchemaMissing
from tabur.model.findings import Finding, Level

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


class SqliteStore(Store):
    dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
    words = Words(
        hex_id="lower(hex({}))",
        text_of="CAST({} AS TEXT)",
        seconds="{} / 1000000",
        moment="datetime({} / 1000000, 'unixepoch')",
    )
    DataErrors = SqliteFile.DataErrors
    KnownId = sqlite3.IntegrityError

    def __init__(self, url: URL, clock: Callable[[], int]) -> None:
        self._file = SqliteFile(url)
        self._clock = clock
        # Beside the file, so that every process on the machine finds it.
        self._bells = Path(f"{self._file.path}-bells")
        self._bell = Bell(self._bells)
        self.hot = SqliteHot(self)

    def __str__(self) -> str:
        return str(self._file)

    def transact(self, work: Callable[[Transaction], T], *, repeat: bool = True) -> T:
        # There are no deadlocks to lose and no connections to die: nothing is ever repeated.
        with self._file.write() as cursor:
            tx = Transaction(cursor)
            done = work(tx)
        if tx.woken:
            self._bell.ring()
        return done

    @contextmanager
    def read(self) -> Iterator[sqlite3.Cursor]:
        with self._file.read() as connection:
            yield connection.cursor()

    def now(self) -> int:
        """SQLite runs in this process: its clock is the machine's."""
        return self._clock()

    def keyed(self, statement: Any, column: Any, *names: str) -> Keyed:
        return _EachKey(self.prepare(statement.where(column == bindparam("key")), *names, "key"))

    def ignoring_known(self, insert: Any) -> Any:
        return insert_or(insert.table).on_conflict_do_nothing()

    def replacing(self, insert: Any) -> Any:
        new = insert_or(insert.table)
        return new.on_conflict_do_update(index_elements=["id"], set_=all_but_id(new.excluded))

    def listen(self) -> Listener:
        return DatabaseListener(self._file, self._bells)

    def is_same(self, connection: Connection) -> bool:
        return self._file.is_same(connection)

    def wake_on_commit(self, connection: Connection) -> None:
        event.listen(connection, "commit", lambda _: self._bell.ring(), once=True)

    def install(self, engine: Engine) -> None:
        self._file.install(engine)

    def begin_in(self, connection: Connection) -> None:
        self._file.begin_in(connection)

    def make_engine(self) -> Engine:
        engine = make_engine(self._file.url, {})
        self.install(engine)
        return engine

    def make_async_engine(self) -> AsyncEngine:
        engine = make_async_engine(self._file.url, {}, clients={"aiosqlite": "aiosqlite"})
        self.install(engine.sync_engine)
        return engine

    def describe(self) -> Mapping[str, Any]:
        with self._file.read() as connection:
            integrity = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return {
            "engine": f"SQLite {sqlite3.sqlite_version}",
            "durability": "WAL, synchronous FULL",
            "integrity": integrity,
            "size": f"{self._file.path.stat().st_size / 1_000_000:.1f} MB",
        }

    def examine(self) -> Sequence[Finding]:
        try:
            with self._file.read() as connection:
                integrity = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        except SchemaMissing:  # told by who looks at the tables
            return []
        if integrity == "ok":
            return []
        what = f"{self} is damaged: {' '.join(integrity.split())}"
        return [Finding("store-damaged", Level.ERROR, what, "Restore it from a backup.")]

    def close(self) -> None:
        self._bell.close()
        self._file.close()

    @contextmanager
    def migrating(self) -> Iterator[sqlite3.Cursor]:
        with self._file.write(create=True) as cursor:
            yield cursor


class _EachKey:
    """Row by row in one transaction, which SQLite does faster than a list of keys."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def run(self, cursor: Any, keys: Iterable[object], *values: object) -> int:
        return self._prepared.many(cursor, [(*values, key) for key in keys])

    def all(self, cursor: Any, keys: Iterable[object], *values: object) -> Sequence[Row]:
        return [row for key in keys for row in self._prepared.all(cursor, *values, key)]
