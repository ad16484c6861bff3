"""The `database` driver: its roles over one store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tabur.drivers.contract import (
    Batches,
    Claiming,
    Control,
    Dispatching,
    Inspection,
    Listener,
    Notes,
    Retention,
    Schedules,
    Transfer,
    Workers,
)
from tabur.drivers.database import migrations, schema
from tabur.drivers.database.admission import Admission
from tabur.drivers.database.batches import DatabaseBatches
from tabur.drivers.database.bonds import Following
from tabur.drivers.database.claiming import DatabaseClaiming
from tabur.drivers.database.control import DatabaseControl
from tabur.drivers.database.dispatching import DatabaseDispatching
from tabur.drivers.database.fencing import DatabaseFencing
from tabur.drivers.database.inspection import DatabaseInspection
from tabur.drivers.database.notes import DatabaseNotes
from tabur.drivers.database.retention import DatabaseRetention
from tabur.drivers.database.rows import Rows
from tabur.drivers.database.schedules import DatabaseSchedules
from tabur.drivers.database.store import Store
from tabur.drivers.database.transfer import DatabaseTransfer
from tabur.drivers.database.workers import DatabaseWorkers
from tabur.errors import ConfigError
from tabur.model.batches import NewBatch
from tabur.model.clock import now_us
from tabur.model.findings import Finding
from tabur.model.outcome import Transition
from tabur.model.records import NewJob

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine  # it takes 60 ms, and greenlet


class DatabaseDriver:
    """Jobs in a SQL database. A server that says nothing for `silence` seconds (not even that it
    has received what was sent) is given up; how long a statement takes does not matter. `clock`
    (microseconds) is for tests, in place of the store's own."""

    name = "database"

    def __init__(
        self, url: str, *, silence: float = 10.0, clock: Callable[[], int] | None = None
    ) -> None:
        self._store = _open(url, silence, clock)
        rows = Rows(self._store)
        following = Following(self._store, rows)
        admission = Admission(self._store, rows, following)
        self._dispatching = DatabaseDispatching(self._store, rows, following, admission)
        self.dispatching: Dispatching = self._dispatching
        self.claiming: Claiming = DatabaseClaiming(self._store, rows, following)
        self.batches: Batches = DatabaseBatches(self._store, following)
        self.transfer: Transfer = DatabaseTransfer(self._store, rows)
        self.workers: Workers = DatabaseWorkers(self._store)
        self.control: Control = DatabaseControl(self._store)
        self.inspection: Inspection = DatabaseInspection(self._store)
        self.retention: Retention = DatabaseRetention(self._store, self._dispatching)
        self.schedules: Schedules = DatabaseSchedules(self._store, rows, admission)
        self.notes: Notes = DatabaseNotes(self._store)
        self._fencing = DatabaseFencing(self._store, rows)

    def dispatch_in(
        self,
        connection: Connection,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch] = (),
    ) -> Mapping[bytes, bytes]:
        return self._dispatching.dispatch_in(connection, jobs, batches)

    def install(self, engine: Engine) -> None:
        self._store.install(engine)

    def begin_in(self, connection: Connection) -> None:
        self._fencing.begin_in(connection)

    def settle_in(self, connection: Connection, move: Transition) -> bool:
        return self._fencing.settle_in(connection, move)

    def checkpoint_in(
        self, connection: Connection, job_id: bytes, token: bytes, cursor: bytes
    ) -> bool:
        return self._fencing.checkpoint_in(connection, job_id, token, cursor)

    def is_settled(self, job_id: bytes, token: bytes) -> bool:
        return self._fencing.is_settled(job_id, token)

    def make_engine(self) -> Engine:
        return self._store.make_engine()

    def make_async_engine(self) -> AsyncEngine:
        return self._store.make_async_engine()

    def now(self) -> int:
        return self._store.now()

    def listen(self) -> Listener:
        return self._store.listen()

    def migrate(self) -> Sequence[str]:
        return migrations.migrate(self._store)

    def script(self) -> Sequence[str]:
        return migrations.script(self._store)

    def check(self) -> Mapping[str, Any]:
        version = migrations.version(self._store)
        told = self._store.describe()
        return {
            "store": str(self._store),
            "schema": f"{version} of {schema.VERSION}",
            **told,
        }

    def examine(self) -> Sequence[Finding]:
        return [*migrations.examine(self._store), *self._store.examine()]

    def close(self) -> None:
        self._store.close()


def _open(url: str, silence: float, clock: Callable[[], int] | None) -> Store:
    """The store that the URL names."""
    parsed = _parsed(url)
    match parsed.get_backend_name():
        case "sqlite":
            from tabur.drivers.database.stores.sqlite.store import SqliteStore

            return SqliteStore(parsed, clock or now_us)
        case "postgresql" | "postgres":
            from tabur.drivers.database.stores.postgres.store import PostgresStore

            return PostgresStore(parsed, silence, clock)
        case "mysql" | "mariadb":
            from tabur.drivers.database.stores.mysql.store import MySQLStore

            return MySQLStore(parsed, silence, clock)
        case other:
            raise ConfigError(
                f"DATABASE_URL names {other}, which Tabur does not know. Write sqlite:///…, "
                "postgresql://… or mysql://…"
            )


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigError(
            "DATABASE_URL is not a URL; write sqlite:///var/tabur.sqlite3, or "
            "postgresql://user:password@host/database."
        ) from None
