"""PostgreSQL as the driver's store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Connection, Dialect, Engine, any_, bindparam, event
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL

from tabur.drivers.contract import Listener
from tabur.drivers.database.engines import make_async_engine
from tabur.drivers.database.statements import Inserting, InsertingNew, Keyed, Prepared, Row
from tabur.drivers.database.store import Words, all_but_id
from tabur.drivers.database.stores.network import (
    CONNECT_PATIENCE,
    KEEPALIVES,
    Fate,
    NetworkStore,
    asked_after,
    missing_client,
    run_on,
)
from tabur.drivers.database.stores.polling import PollingListener
from tabur.drivers.database.stores.postgres.examining import about_pooler, about_settings
from tabur.drivers.database.stores.postgres.hot import PostgresHot
from tabur.drivers.database.stores.postgres.listener import NotifyListener
from tabur.model.bonds import Unique
from tabur.model.findings import Finding
from tabur.model.records import NewJob

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

try:
    import psycopg
except ImportError:  # the extra is not installed; said when a store is opened
    psycopg = None  # type: ignore[assignment]  # a module

#: Jobs in one statement of a large dispatch: a part that the server holds in its memory.
INSERTED_AT_ONCE = 2_000
#: Seconds between two notifications of one process: who was just woken looks by itself meanwhile.
NOTIFY_EVERY = 0.05
NOTIFY = "SELECT pg_notify('tabur', '')"

#: A plan that was made while a table was empty must be right once it is full: reading an index in
#: its order is right for either. So each is made once; making it again for each set of values took
#: 3 ms of a statement that runs for 1.
_SETTINGS = """
    SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;
    SET enable_mergejoin = off; SET enable_hashjoin = off;
    SET plan_cache_mode = force_generic_plan; SET jit = off;
    SET idle_in_transaction_session_timeout = '15s'; SET lock_timeout = '20s'
"""
#: The server asks a silent client after 10 s, and gives it up three seconds later: what a host had
#: locked that is gone would else stay locked for two hours. One statement, for every client.
_KEEPALIVES = """
    SELECT set_config('tcp_keepalives_idle', '10', false),
           set_config('tcp_keepalives_interval', '1', false),
           set_config('tcp_keepalives_count', '3', false)
"""
#: Of the server: it shuts down, or is a replica after a failover, or this process stood still in a
#: transaction until the server gave it up.
_GONE = ("57P01", "57P02", "57P03", "25006", "25P03", "08")
_AGAIN = ("40P01", "40001", "55P03")
_NO_TABLES = ("42P01", "42703", "3F000")


_DEAD_ROWS = """
    SELECT concat_ws(' ', coalesce(n_dead_tup, 0), 'in job_ready, vacuumed',
                     coalesce(greatest(last_vacuum, last_autovacuum)::timestamptz(0)::text,
                              'never'))
      FROM pg_stat_user_tables WHERE relid = to_regclass('job_ready')
"""
#: The oldest of what keeps dead rows from being removed: a transaction, a prepared one, or a slot
#: of a replica.
_HORIZON = """
    SELECT said
      FROM (SELECT xact_start AS since,
                   format('process %s (%s, %s, %s) since %s', pid, usename,
                          coalesce(nullif(application_name, ''), 'no name'), state,
                          xact_start::timestamptz(0)) AS said
              FROM pg_stat_activity
             WHERE datname = current_database() AND xact_start IS NOT NULL
               AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
             UNION ALL
            SELECT prepared, format('prepared transaction %s of %s since %s', gid, owner,
                                    prepared::timestamptz(0))
              FROM pg_prepared_xacts WHERE database = current_database()
             UNION ALL
            SELECT '-infinity', format('replication slot %s, %s transactions behind', slot_name,
                                       age(xmin))
              FROM pg_replication_slots WHERE xmin IS NOT NULL AND age(xmin) > 100000) held
     WHERE since < now() - interval '1 minute' ORDER BY since LIMIT 1
"""

_NOTHING_HELD = """
    SELECT CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN 'nothing older than a minute'
                ELSE 'nothing of this role; it sees no others (GRANT pg_read_all_stats TO '
                     || quote_ident(current_user) || ')' END
"""


class PostgresStore(NetworkStore):
    """`?pooler=transaction` in the URL, for PgBouncer: no notifications, nothing that a session
    keeps between two transactions."""

    dialect: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]  # theirs
    words = Words(
        hex_id="encode({}, 'hex')",
        text_of="convert_from({}, 'UTF8')",
        seconds="{} / 1000000",
        moment="to_timestamp({} / 1000000.0)",
    )
    families = ("postgresql",)
    hot: PostgresHot

    def __init__(self, url: URL, silence: float, clock: Callable[[], int] | None) -> None:
        if psycopg is None:
            raise missing_client(url, "postgres")
        self.DataErrors = (
            psycopg.DataError,
            psycopg.IntegrityError,
            OverflowError,
            UnicodeError,
        )
        self.KnownId = psycopg.IntegrityError
        self.ClientError = psycopg.Error
        self._pooler = url.query.get("pooler") == "transaction"
        connect: dict[str, Any] = {
            "autocommit": True,
            "connect_timeout": int(min(CONNECT_PATIENCE, silence)),
            "application_name": "tabur",
            "keepalives_idle": asked_after(silence),
            "keepalives_interval": 1,
            "keepalives_count": KEEPALIVES,
            "tcp_user_timeout": int(silence * 1000),
        }
        if self._pooler:
            connect["prepare_threshold"] = None
        plain = url.difference_update_query(["pooler"]).set(drivername="postgresql+psycopg")
        super().__init__(plain, clock, connect=connect)
        self._notified = 0.0
        self.hot = PostgresHot(self._notifies_now)

    def insert(self, jobs: Sequence[NewJob], now: int) -> None:
        if len(jobs) <= INSERTED_AT_ONCE:
            self.alone(lambda cursor: self._insert_at_once(cursor, jobs, now))
        else:
            super().insert(jobs, now)

    def _insert_at_once(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> None:
        if self.hot.insert(cursor, jobs, now):
            self._wake(cursor)

    def insert_unique(self, job: NewJob, unique: Unique, now: int) -> bool:
        return self.alone(lambda cursor: self._insert_unique(cursor, job, unique, now))

    def _insert_unique(self, cursor: Any, job: NewJob, unique: Unique, now: int) -> bool:
        is_in, woken = self.hot.insert_unique(cursor, job, unique, now)
        if woken:
            self._wake(cursor)
        return is_in

    def bring_in(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        """The server works on one part while the next is made ready."""
        if len(jobs) <= INSERTED_AT_ONCE:
            return self.hot.insert(cursor, jobs, now)
        woken = False
        with cursor.connection.pipeline():
            for start in range(0, len(jobs), INSERTED_AT_ONCE):
                part = jobs[start : start + INSERTED_AT_ONCE]
                woken |= self.hot.insert(cursor, part, now)
        return woken

    @contextmanager
    def read_anew(self) -> Iterator[Any]:
        """Joins of many tables for people: a plan that was made while they were empty may multiply
        them once they are full, and there is time to make another."""
        with self.read() as cursor:
            yield _Unprepared(cursor)

    def keyed(self, statement: Any, column: Any, *names: str) -> Keyed:
        keys = any_(bindparam("keys", type_=ARRAY(column.type)))
        return _ArrayOfKeys(self.prepare(statement.where(column == keys), *names, "keys"))

    def inserting(self, table: Any) -> Inserting:
        return _InsertingColumns(table, self.dialect)

    def inserting_new(self, table: Any) -> InsertingNew:
        return _InsertingColumns(table, self.dialect, "ON CONFLICT DO NOTHING")

    def ignoring_known(self, insert: Any) -> Any:
        return insert_or(insert.table).on_conflict_do_nothing()

    def replacing(self, insert: Any) -> Any:
        new = insert_or(insert.table)
        return new.on_conflict_do_update(index_elements=["id"], set_=all_but_id(new.excluded))

    def listen(self) -> Listener:
        if self._pooler:
            return PollingListener(lambda: self.worked)
        return NotifyListener(self.connect_alone)

    def wake_on_commit(self, connection: Connection) -> None:
        if not self._pooler:
            run_on(connection, NOTIFY)

    def install(self, engine: Engine) -> None:
        """The server is to know of a client that is gone while it has something locked."""
        if not self._pooler:
            event.listen(engine, "connect", lambda raw, _: _keep_alive(raw))

    def make_engine(self) -> Engine:
        engine = super().make_engine()
        self.install(engine)
        return engine

    def make_async_engine(self) -> AsyncEngine:
        engine = make_async_engine(
            self._url, self._connect_callers(), clients={"psycopg": "psycopg"}
        )
        self.install(engine.sync_engine)
        return engine

    def after_tables(self) -> Sequence[str]:
        """A claim finds its rows by their place in the heap (ctid), so that their number needs no
        index: claims and dispatches write one less."""
        return [
            "ALTER TABLE job_ready DROP CONSTRAINT job_ready_pkey",
            "ALTER TABLE job_ready DROP CONSTRAINT job_ready_id_key, ADD PRIMARY KEY (id)",
        ]

    def _notifies_now(self) -> bool:
        """Whether a notification is due, and then takes it as sent."""
        now = monotonic()
        if self._pooler or now - self._notified < NOTIFY_EVERY:
            return False
        self._notified = now
        return True

    def views(self, queries: Mapping[str, str]) -> Sequence[str]:
        return [
            f"""DO $tabur$ BEGIN
                IF to_regclass('{name}') IS NULL THEN CREATE VIEW {name} AS {query}; END IF;
            END $tabur$"""
            for name, query in queries.items()
        ]

    def describe(self) -> Mapping[str, Any]:
        durability = ("fsync", "synchronous_commit")
        return {
            "engine": f"PostgreSQL {self._scalar('SHOW server_version')}",
            "durability": ", ".join(
                f"{each} {self._scalar(f'SHOW {each}')}" for each in durability
            ),
            "woken by": "looking (pooler=transaction)" if self._pooler else "notifications",
            "autovacuum": self._scalar("SHOW autovacuum"),
            "dead rows": self._scalar(_DEAD_ROWS),
            "held back by": self._scalar(_HORIZON) or self._scalar(_NOTHING_HELD),
        }

    def examine(self) -> Sequence[Finding]:
        return [
            *about_pooler(str(self), self.connect_alone, told=self._pooler),
            *about_settings(str(self), lambda name: str(self._scalar(f"SHOW {name}"))),
        ]

    def _prepare(self, raw: Any) -> None:
        if not self._pooler:
            raw.execute(_SETTINGS)
            raw.execute(_KEEPALIVES)

    def _open_cursor(self, connection: Any) -> Any:
        return connection.cursor(binary=True)

    def _fate(self, error: Exception) -> Fate:
        state = getattr(error, "sqlstate", None) or ""
        if isinstance(error, self.DataErrors):
            return Fate.DATA
        if state.startswith(_GONE) or (not state and isinstance(error, psycopg.OperationalError)):
            return Fate.GONE
        if state in _AGAIN:
            return Fate.AGAIN
        return Fate.NO_TABLES if state in _NO_TABLES else Fate.OTHER

    def _ask_clock(self) -> int:
        return int(self._scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))

    def _lock_migrations(self, cursor: Any) -> None:
        cursor.execute("SELECT pg_advisory_xact_lock(8262117)")

    def _identity_of(self, connection: Connection) -> int | None:
        if run_on(connection, "SELECT to_regclass('job_signals')") is None:
            return None
        found = run_on(connection, "SELECT value FROM job_signals WHERE name = 'identity'")
        return None if found is None else int(found)

    def _wake(self, cursor: Any) -> None:
        if self._notifies_now():
            cursor.execute(NOTIFY)


def _keep_alive(raw: Any) -> None:
    """On a new connection of whatever client a caller's engine uses."""
    cursor = raw.cursor()
    cursor.execute(_KEEPALIVES)
    cursor.fetchall()
    cursor.close()
    raw.commit()  # SET is undone by a rollback


class _Unprepared:
    """A cursor whose statements the client never prepares."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.fetchall = cursor.fetchall

    def execute(self, query: str, values: Sequence[object]) -> None:
        self._cursor.execute(query, values, prepare=False)


class _ArrayOfKeys:
    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def run(self, cursor: Any, keys: Iterable[object], *values: object) -> int:
        wanted = list(keys)
        return self._prepared.run(cursor, *values, wanted) if wanted else 0

    def all(self, cursor: Any, keys: Iterable[object], *values: object) -> Sequence[Row]:
        wanted = list(keys)
        return self._prepared.all(cursor, *values, wanted) if wanted else []


class _InsertingColumns:
    """Rows as one array for each column."""

    def __init__(self, table: Any, dialect: Dialect, otherwise: str = "") -> None:
        columns = ", ".join(each.name for each in table.columns)
        arrays = ", ".join(f"%b::{each.type.compile(dialect=dialect)}[]" for each in table.columns)
        rows = f"SELECT * FROM unnest({arrays})"
        self._sql = f"INSERT INTO {table.name} ({columns}) {rows} {otherwise}"

    def many(self, cursor: Any, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        cursor.execute(self._sql, [list(each) for each in zip(*rows, strict=True)])
        return int(cursor.rowcount)
