"""A MariaDB server."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import TYPE_CHECKING, Any, Self

from servers.find import binary
from servers.process import LOOPBACK, Server

if TYPE_CHECKING:
    from pymysql.connections import Connection

SETTINGS = {
    "character-set-server": "utf8mb4",
    "innodb-buffer-pool-size": "256M",
    "innodb-flush-log-at-trx-commit": "1",
    "max-connections": "200",
    "skip-name-resolve": "ON",
}
ACCOUNT = """\
CREATE USER IF NOT EXISTS tabur@'{clients}';
GRANT ALL ON *.* TO tabur@'{clients}';
CREATE DATABASE IF NOT EXISTS tabur;
"""


class MariaDBServer(Server):
    """User `tabur` with all rights and no password, database `tabur`; every commit is synced."""

    accounts = ("mysql", "nobody")
    immediate = SIGKILL
    fast = SIGTERM

    def __init__(self, parent: Path | None, host: str, settings: Mapping[str, str]) -> None:
        self._program = binary("mariadbd")
        self._installer = binary("mariadb-install-db")
        self._settings = {**SETTINGS, **settings}
        super().__init__(parent, host)
        self._data = self.folder / "data"

    @classmethod
    def start(
        cls,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
        *,
        host: str = LOOPBACK,
    ) -> Self:
        """Starts a new one in a temporary folder (inside `folder`, which it may make).

        `settings` are server variables. At another `host` than this machine itself, it lets in
        whoever reaches it. Raises Missing, and StartFailed with the log.
        """
        return cls(folder, host, settings or {})._begin()

    def url(self, database: str = "tabur") -> str:
        return f"mysql+pymysql://tabur@{self.host}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def terminate_backends(self) -> int:
        """Cuts the connection of every client, as an administrator does; returns how many."""
        import pymysql

        ended = 0
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist"
                " WHERE user = 'tabur' AND id <> connection_id()"
            )
            for (number,) in cursor.fetchall():
                try:
                    cursor.execute(f"KILL CONNECTION {number}")
                except pymysql.err.OperationalError:
                    continue  # it has left meanwhile
                ended += 1
        return ended

    def _prepare(self) -> None:
        clients = self.host if self.host == LOOPBACK else "%"
        (self.folder / "account.sql").write_text(ACCOUNT.format(clients=clients))
        self._run(
            *(self._installer, "--no-defaults", f"--datadir={self._data}", "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        )

    def _command(self) -> list[str | Path]:
        settings = {
            **self._settings,
            "bind-address": self.host,
            "datadir": str(self._data),
            "init-file": str(self.folder / "account.sql"),
            "pid-file": str(self.folder / "pid"),
            "port": str(self.port),
            "socket": str(self.folder / "socket"),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._program, "--no-defaults", *options]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as client:
                return bool(client.recv(1))  # the server speaks first, once it serves
        except OSError:
            return False

    def _connect(self) -> Connection[Any]:
        import pymysql

        return pymysql.connect(host=self.host, port=self.port, user="tabur", autocommit=True)
