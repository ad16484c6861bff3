"""The `database` driver: wires the roles over one file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tabur.drivers.contract import Claiming, Dispatching, Inspection, Listener, Workers
from tabur.drivers.database import migrations, schema
from tabur.drivers.database.claiming import DatabaseClaiming
from tabur.drivers.database.dispatching import DatabaseDispatching
from tabur.drivers.database.inspection import DatabaseInspection
from tabur.drivers.database.rows import Rows
from tabur.drivers.database.sqlite import SqliteFile
from tabur.drivers.database.wake import Bell, DatabaseListener
from tabur.drivers.database.workers import DatabaseWorkers
from tabur.errors import ConfigError
from tabur.model.clock import now_us
from tabur.model.records import NewJob


class DatabaseDriver:
    """Jobs in a SQLite file. `clock` (microseconds) is for tests: SQLite runs in this process, so
    that the store's clock is the machine's."""

    name = "database"

    def __init__(self, url: str, *, clock: Callable[[], int] = now_us) -> None:
        self._file = SqliteFile(_sqlite_url(url))
        rows = Rows(self._file.dialect)
        # Beside the file, so that every process on the machine finds it.
        self._bells = Path(f"{self._file.path}-bells")
        self._bell = Bell(self._bells)
        self._dispatching = DatabaseDispatching(self._file, rows, self._bell, clock)
        self.dispatching: Dispatching = self._dispatching
        self.claiming: Claiming = DatabaseClaiming(self._file, rows, self._bell, clock)
        self.workers: Workers = DatabaseWorkers(self._file)
        self.inspection: Inspection = DatabaseInspection(self._file)

    def dispatch_in(self, connection: Connection, jobs: Sequence[NewJob]) -> None:
        self._dispatching.dispatch_in(connection, jobs)

    def install(self, engine: Engine) -> None:
        self._file.install(engine)

    def listen(self) -> Listener:
        return DatabaseListener(self._file, self._bells)

    def migrate(self) -> Sequence[str]:
        return migrations.migrate(self._file)

    def check(self) -> Mapping[str, Any]:
        version = migrations.version(self._file)
        with self._file.read() as connection:
            integrity = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return {
            "store": str(self._file),
            "engine": f"SQLite {sqlite3.sqlite_version}",
            "schema": f"{version} of {schema.VERSION}",
            "durability": "WAL, synchronous FULL",
            "integrity": integrity,
            "size": f"{self._file.path.stat().st_size / 1_000_000:.1f} MB",
        }

    def close(self) -> None:
        self._bell.close()
        self._file.close()


def _sqlite_url(url: str) -> Any:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            f"DATABASE_URL={url!r} is not a URL; write sqlite:///var/tabur.sqlite3."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise ConfigError(
            f"DATABASE_URL names {parsed.get_backend_name()}: this version keeps jobs in SQLite "
            "(sqlite:///var/tabur.sqlite3)."
        )
    return parsed
