"""The four stores that a scenario runs on, each started when it is asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.process import LOOPBACK, Server
from servers.redis import RedisServer

PROGRAMS = {
    "SQLite": (),
    "PostgreSQL": ("postgres",),
    "MariaDB": ("mariadbd", "mariadb-install-db"),
    "Redis": ("redis-server",),
}
STORES = tuple(PROGRAMS)
ALL_PROGRAMS = tuple(name for names in PROGRAMS.values() for name in names)


@dataclass(frozen=True)
class Store:
    """An empty one; `server` None: a file."""

    name: str
    url: str
    server: Server | None = None

    @property
    def is_file(self) -> bool:
        return self.server is None

    @property
    def is_sql(self) -> bool:
        return self.name != "Redis"

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It answers nobody meanwhile, and goes on afterwards where it was."""
        if self.server is None:
            with closing(sqlite3.connect(self.url.partition("///")[2], timeout=60.0)) as file:
                file.execute("BEGIN IMMEDIATE")  # nobody else may write
                yield
        else:
            self.server.pause()
            try:
                yield
            finally:
                self.server.go_on()


@contextmanager
def opened(name: str, place: Path, *, host: str = LOOPBACK) -> Iterator[Store]:
    """A new server for this store alone, at an address of this machine, or a file in `place`.
    Commits wait for the disk."""
    match name:
        case "SQLite":
            yield Store(name, f"sqlite:///{place}/jobs.sqlite3")
        case "PostgreSQL":
            with PostgresServer.start(host=host) as postgres:
                yield Store(name, postgres.url(), postgres)
        case "MariaDB":
            with MariaDBServer.start(host=host) as mariadb:
                yield Store(name, mariadb.url(), mariadb)
        case _:
            durable = ("--appendonly", "yes", "--appendfsync", "always")
            with RedisServer.start(*durable, host=host) as redis:
                yield Store(name, redis.url(), redis)
