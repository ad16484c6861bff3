"""PostgreSQL: a server of its own, a database for each measurement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.stores.store import cpu_of, numbers
from servers.postgres import PostgresServer

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    # The same for everybody, so that no checkpoint falls into one rival's minute.
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    # Only the databases whose statements are counted track them.
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
}


class Postgres:
    name = "postgres"
    title = "PostgreSQL"
    durability = (
        "fsync=on, synchronous_commit=on: a commit is on the disk when it returns"
        " (shared_buffers 512 MB, max_wal_size 8 GB)"
    )
    variables: ClassVar[Mapping[str, str]] = {
        "QUEUE_CONNECTION": "database",
        "DATABASE_URL": "{url}",
    }
    counts = "statements"

    def start(self) -> None:
        self._server = PostgresServer.start(settings=SETTINGS)
        self._names = numbers("bench")
        self._ask("CREATE EXTENSION pg_stat_statements")

    def stop(self) -> None:
        self._server.stop()

    def version(self) -> str:
        return str(self._ask("SHOW server_version")[0][0]).split(" ", maxsplit=1)[0]

    def take(self, folder: Path) -> str:
        return self._server.create_database(next(self._names))

    def give_back(self, url: str) -> None:
        self._ask(f'DROP DATABASE "{_name(url)}" WITH (FORCE)')

    def calm(self) -> None:
        self._ask("CHECKPOINT")

    def cpu(self) -> float:
        return cpu_of(self._server.pid)

    def count_statements(self, url: str) -> None:
        self._ask(f"ALTER DATABASE \"{_name(url)}\" SET pg_stat_statements.track = 'top'")

    def statements(self, url: str) -> int | None:
        calls = self._ask(
            "SELECT coalesce(sum(s.calls), 0) FROM pg_stat_statements s"
            f" JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = '{_name(url)}'"
        )
        return int(calls[0][0])

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        import psycopg

        where = f"host=127.0.0.1 port={self._server.port} user=tabur dbname=tabur"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def _name(url: str) -> str:
    return url.rpartition("/")[2]
