"""MySQL and MariaDB as the driver's store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Dialect, bindparam
from sqlalchemy.dialects.mysql import insert as insert_or
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import URL

from tabur.drivers.contract import Listener
from tabur.drivers.database.engines import make_async_engine
from tabur.drivers.database.statements import Inserting, Keyed, Prepared, Row
from tabur.drivers.database.store import Words, all_but_id
from tabur.drivers.database.stores.mysql.client import (
    client_flags,
    client_for,
    fate_of,
    give_up_after,
    module_of,
)
from tabur.drivers.database.stores.mysql.hot import MySQLHot
from tabur.drivers.database.stores.mysql.literals import inserts, run
from tabur.drivers.database.stores.network import CONNECT_PATIENCE, Fate, NetworkStore, run_on
from tabur.drivers.database.stores.polling import PollingListener
from tabur.errors import StoreUnavailable
from tabur.model.findings import Finding, Level

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

#: Seconds that an answer may take, that a statement waits for a lock, and a migration for another.
ANSWER_PATIENCE, LOCK_PATIENCE, MIGRATION_PATIENCE = 60, 10, 50
#: Seconds for which a transaction may stand still, where the server has such a limit (MariaDB):
#: what a host held that was cut off is free before others rescue its jobs.
IDLE_PATIENCE = 15
#: Keys in one statement.
KEYS = 500

#: Each statement sees what was committed, and locks what it changes and not the gaps between;
#: what does not fit is refused, not cut.
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
_SETTINGS = f"""
    SET SESSION innodb_lock_wait_timeout = {LOCK_PATIENCE},
        sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'
        /*M!100300 , idle_transaction_timeout = {IDLE_PATIENCE} */
"""
#: Where a statement of a migration was done before the migration was cut off: a table or view of
#: that name is there, an index is.
_DONE_ALREADY = (1050, 1061)
_LOCK = "CONCAT('tabur:', MD5(DATABASE()))"


class MySQLStore(NetworkStore):
    dialect: Dialect = MySQLDialect_pymysql(paramstyle="format")
    words = Words(
        hex_id="lower(hex({}))",
        text_of="convert({} USING utf8mb4)",
        seconds="{} DIV 1000000",
        moment="timestampadd(MICROSECOND, {}, TIMESTAMP'1970-01-01 00:00:00')",
        unclaimed="worker",
    )
    families = ("mysql", "mariadb")
    index_if_not_exists = False  # MariaDB knows it, MySQL does not

    def __init__(self, url: URL, silence: float, clock: Callable[[], int] | None) -> None:
        url = client_for(url)
        client = module_of(url)
        self.DataErrors = (
            client.DataError,
            client.IntegrityError,
            OverflowError,
            UnicodeError,
        )
        self.KnownId = client.IntegrityError
        self.ClientError = client.Error
        connect: dict[str, Any] = {
            "autocommit": True,
            "charset": "utf8mb4",
            "client_flag": client_flags(url),
            "connect_timeout": int(min(CONNECT_PATIENCE, silence)),
            "read_timeout": ANSWER_PATIENCE,
            "write_timeout": ANSWER_PATIENCE,
        }
        self._silence = silence
        super().__init__(url, clock, connect=connect)
        self.hot = MySQLHot()

    def keyed(self, statement: Any, column: Any, *names: str) -> Keyed:
        return _ListOfKeys(self.prepare(statement.where(column == bindparam("key")), *names, "key"))

    def inserting(self, table: Any) -> Inserting:
        return _InsertingLiterals(table)

    def ignoring_known(self, insert: Any) -> Any:
        return insert.prefix_with("IGNORE")

    def replacing(self, insert: Any) -> Any:
        new = insert_or(insert.table)
        return new.on_duplicate_key_update(all_but_id(new.inserted))

    def listen(self) -> Listener:
        return PollingListener(lambda: self.worked)

    def wake_on_commit(self, connection: Connection) -> None:
        """Who waits looks by itself."""

    def make_async_engine(self) -> AsyncEngine:
        connect = {"charset": "utf8mb4", "connect_timeout": CONNECT_PATIENCE}
        clients = {"asyncmy": "asyncmy", "aiomysql": "aiomysql"}
        return make_async_engine(self._url, connect, clients=clients)

    def views(self, queries: Mapping[str, str]) -> Sequence[str]:
        return [f"CREATE VIEW {name} AS {query}" for name, query in queries.items()]

    def describe(self) -> Mapping[str, Any]:
        version = self._scalar("SELECT version()")
        engine = "MariaDB" if "mariadb" in version.lower() else "MySQL"
        return {
            "engine": f"{engine} {version}",
            "durability": "innodb_flush_log_at_trx_commit "
            f"{self._scalar('SELECT @@innodb_flush_log_at_trx_commit')}, "
            f"binary log {'on' if self._scalar('SELECT @@log_bin') else 'off'}",
        }

    def examine(self) -> Sequence[Finding]:
        flushed = self._scalar("SELECT @@innodb_flush_log_at_trx_commit")
        if flushed == 1:
            return []
        return [
            Finding(
                "mysql-durability",
                Level.WARNING,
                f"innodb_flush_log_at_trx_commit is {flushed} on {self}: the last second of what "
                "was dispatched may be lost with the machine.",
                "Set innodb_flush_log_at_trx_commit = 1.",
            )
        ]

    @contextmanager
    def migrating(self) -> Iterator[Any]:
        """Here DDL commits by itself: what was begun and cut off is gone through once more, and
        what is there already is passed over."""
        with self.read() as cursor:
            self._lock_migrations(cursor)
            try:
                yield _Repeatable(cursor, self.ClientError)
            finally:
                cursor.execute(f"DO RELEASE_LOCK({_LOCK})")

    def _prepare(self, raw: Any) -> None:
        give_up_after(self._silence, raw)
        cursor = raw.cursor()
        cursor.execute(_ISOLATION)
        cursor.execute(_SETTINGS)
        cursor.close()

    def _fate(self, error: Exception) -> Fate:
        fate = fate_of(error)
        if fate is None:
            return Fate.DATA if isinstance(error, self.DataErrors) else Fate.OTHER
        return fate

    def _ask_clock(self) -> int:
        return int(
            self._scalar("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))")
        )

    def _lock_migrations(self, cursor: Any) -> None:
        cursor.execute(f"SELECT GET_LOCK({_LOCK}, {MIGRATION_PATIENCE})")
        if cursor.fetchone()[0] != 1:
            raise StoreUnavailable(
                f"{self}: another migration has been running for {MIGRATION_PATIENCE} s."
            )

    def _identity_of(self, connection: Connection) -> int | None:
        if not run_on(
            connection,
            "SELECT count(*) FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name = 'job_signals'",
        ):
            return None
        found = run_on(connection, "SELECT value FROM job_signals WHERE name = 'identity'")
        return None if found is None else int(found)

    def _wake(self, cursor: Any) -> None:
        """Nobody can be told."""


class _ListOfKeys:
    """Lists of keys, of a length that keeps the statement small."""

    def __init__(self, prepared: Prepared) -> None:
        self._before, _, self._after = prepared.sql.rpartition(" = %s")
        assert "%s" not in self._after, "the key is to stand last"

    def run(self, cursor: Any, keys: Iterable[object], *values: object) -> int:
        return sum(cursor.rowcount for _ in self._chunks(cursor, keys, values))

    def all(self, cursor: Any, keys: Iterable[object], *values: object) -> Sequence[Row]:
        return [row for _ in self._chunks(cursor, keys, values) for row in cursor.fetchall()]

    def _chunks(self, cursor: Any, keys: Iterable[object], values: Any) -> Iterator[None]:
        left = iter(keys)
        while chunk := tuple(islice(left, KEYS)):
            marks = ", ".join(["%s"] * len(chunk))
            cursor.execute(f"{self._before} IN ({marks}){self._after}", (*values, *chunk))
            yield


class _InsertingLiterals:
    def __init__(self, table: Any) -> None:
        self._table = table.name
        self._columns = [each.name for each in table.columns]

    def many(self, cursor: Any, rows: Sequence[Row]) -> None:
        run(cursor, inserts(self._table, self._columns, rows))


class _Repeatable:
    """The cursor of a migration."""

    def __init__(self, cursor: Any, error: type[Exception]) -> None:
        self._cursor = cursor
        self._error = error

    def execute(self, statement: str) -> None:
        try:
            self._cursor.execute(statement)
        except self._error as error:
            if error.args[0] not in _DONE_ALREADY:
                raise

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    @property
    def description(self) -> Any:
        return self._cursor.description
