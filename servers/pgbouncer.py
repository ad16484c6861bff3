"""A PgBouncer before a PostgreSQL server."""

from __future__ import annotations

import socket
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Self

from servers.find import binary
from servers.postgres import PostgresServer
from servers.process import LOOPBACK, Server


class PgBouncer(Server):
    """Lets `tabur` in without a password, to every database of the server."""

    accounts = ("postgres", "nobody")  # PgBouncer refuses root
    immediate = SIGKILL
    fast = SIGINT

    def __init__(self, server: PostgresServer, mode: str) -> None:
        self._program = binary("pgbouncer")
        self._server, self._mode = server, mode
        super().__init__(None, LOOPBACK)

    @classmethod
    def start(cls, server: PostgresServer, *, mode: str = "transaction") -> Self:
        """`mode`: transaction or session. Raises Missing, and StartFailed with the log."""
        return cls(server, mode)._begin()

    def url(self, database: str = "tabur") -> str:
        return f"postgresql+psycopg://tabur@{self.host}:{self.port}/{database}"

    def _prepare(self) -> None:
        (self.folder / "users").write_text('"tabur" ""\n')

    def _command(self) -> list[str | Path]:
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={self._server.host} port={self._server.port}\n"
            f"[pgbouncer]\nlisten_addr = {self.host}\nlisten_port = {self.port}\n"
            f"unix_socket_dir =\nauth_type = trust\nauth_file = {self.folder / 'users'}\n"
            f"pool_mode = {self._mode}\ndefault_pool_size = 10\n"
        )
        return [self._program, settings]

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=5).close()
        except OSError:
            return False
        return True
