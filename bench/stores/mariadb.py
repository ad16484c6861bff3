"""MariaDB: a server of its own, a database for each measurement."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.stores.store import cpu_of, numbers
from servers.mariadb import MariaDBServer

SETTINGS = {
    "innodb-flush-log-at-trx-commit": "1",
    "innodb-buffer-pool-size": "1G",
    "innodb-log-file-size": "1G",
    "skip-log-bin": "ON",
}


class MariaDB:
    name = "mariadb"
    title = "MariaDB"
    durability = (
        "innodb_flush_log_at_trx_commit=1: a commit is on the disk when it returns"
        " (no binary log, innodb_buffer_pool_size 1 GB)"
    )
    variables: ClassVar[Mapping[str, str]] = {
        "QUEUE_CONNECTION": "database",
        "DATABASE_URL": "{url}",
    }
    counts = "statements"

    def start(self) -> None:
        import pymysql

        self._server = MariaDBServer.start(settings=SETTINGS)
        self._connection = pymysql.connect(
            host="127.0.0.1", port=self._server.port, user="tabur", autocommit=True
        )
        self._names = numbers("bench")

    def stop(self) -> None:
        self._connection.close()
        self._server.stop()

    def version(self) -> str:
        return str(self._ask("SELECT VERSION()")[0][0]).split("-", maxsplit=1)[0]

    def take(self, folder: Path) -> str:
        return self._server.create_database(next(self._names))

    def give_back(self, url: str) -> None:
        self._ask(f"DROP DATABASE `{url.rpartition('/')[2]}`")

    def calm(self) -> None:
        """InnoDB writes its pages all the time."""

    def cpu(self) -> float:
        return cpu_of(self._server.pid)

    def count_statements(self, url: str) -> None:
        """The server counts always."""
        self._asked = 0

    def statements(self, url: str) -> int | None:
        answer = self._ask("SHOW GLOBAL STATUS LIKE 'Questions'")
        self._asked += 1
        return int(answer[0][1]) - self._asked

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
