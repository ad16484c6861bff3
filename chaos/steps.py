"""How much work a store has done, by its own account: what a machine's load does not change.

Each is a counter that only grows; its unit differs between stores and is compared with itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.redis import RedisServer

Steps = Callable[[], int]
#: Instructions of SQLite's machine between two counts.
EVERY = 1000


@contextmanager
def sqlite_steps() -> Iterator[Steps]:
    """Instructions that SQLite's machine has run on every connection this process opens inside."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    def connect(*given: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*given, **named)
        connection.set_progress_handler(count, EVERY)
        return connection

    real = sqlite3.connect
    with patch.object(sqlite3, "connect", connect):
        yield lambda: counted * EVERY


def postgres_steps(server: PostgresServer) -> Steps:
    """Rows and index entries that were read of our tables. Sessions report when they end: close
    the driver before asking."""

    def steps() -> int:
        import psycopg

        with psycopg.connect(
            f"host=127.0.0.1 port={server.port} user=tabur dbname=tabur"
        ) as connection:
            row = connection.execute(
                "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)"
                " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
            ).fetchone()
        assert row is not None
        return int(row[0])

    return steps


def mariadb_steps(server: MariaDBServer) -> Steps:
    """Rows that were asked of the storage engine."""

    def steps() -> int:
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=server.port, user="tabur") as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
            return sum(int(value) for _, value in cursor.fetchall())

    return steps


def redis_steps(server: RedisServer) -> Steps:
    """Commands that were called, most of them inside scripts."""

    def steps() -> int:
        lines = server.ask("INFO", "commandstats").splitlines()
        return sum(
            int(line.partition("calls=")[2].partition(",")[0])
            for line in lines
            if line.startswith("cmdstat_")
        )

    return steps
