"""A PostgreSQL server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGQUIT, Signals
from typing import Self

from servers.find import binary
from servers.process import LOOPBACK, Server

SETTINGS = {
    "max_connections": "200",
    # In files of the folder: segments in /dev/shm would outlive a killed server.
    "dynamic_shared_memory_type": "mmap",
}


class PostgresServer(Server):
    """Superuser `tabur`, no password, database `tabur`; fsync is on unless settings say no."""

    accounts = ("postgres", "nobody")  # PostgreSQL refuses root
    immediate = SIGQUIT
    fast = SIGINT

    def __init__(self, parent: Path | None, host: str, settings: Mapping[str, str]) -> None:
        self._program = binary("postgres").resolve()  # initdb is its neighbour there
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

        `settings` are those of postgresql.conf. At another `host` than this machine itself, it
        lets in whoever is in the same network. Raises Missing, and StartFailed with the log.
        """
        server = cls(folder, host, settings or {})._begin()
        try:
            server.create_database("tabur")
        except BaseException:
            server.stop()
            raise
        return server

    def url(self, database: str = "tabur") -> str:
        return f"postgresql+psycopg://tabur@{self.host}:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Makes an empty database and returns its URL."""
        self._query(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def terminate_backends(self) -> int:
        """Cuts the connection of every client, as an administrator does; returns how many."""
        return self._query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def _prepare(self) -> None:
        initdb = self._program.with_name("initdb")
        options = ["--username=tabur", "--auth=trust", "--encoding=UTF8", "--no-locale"]
        # Only a crash of the whole machine could lose these files, and nobody would miss them.
        self._run(initdb, *options, "--no-sync", "--no-instructions", f"--pgdata={self._data}")
        if self.host != LOOPBACK:
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def _command(self) -> list[str | Path]:
        settings = {
            **self._settings,
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._program, "-D", self._data, *options]

    def _answers(self) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _end(self, how: Signals) -> None:
        super()._end(how)
        self._forget_shared_memory()

    def _pid_file(self) -> list[str]:
        """Its lines are fixed (PostgreSQL's pidfile.h): pid first, shared memory 7th, state 8th."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _forget_shared_memory(self) -> None:
        """A killed server leaves a System V segment of 56 bytes, which no folder holds."""
        lines = self._pid_file()
        if len(lines) > 6:
            segment = lines[6].split()[1]
            subprocess.run(["ipcrm", "--shmem-id", segment], check=False, capture_output=True)

    def _query(self, statement: str) -> int:
        import psycopg

        where = f"host={self.host} port={self.port} user=tabur dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return int(row[0]) if row else 0
