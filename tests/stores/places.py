"""An empty place on each store, as the variables that lead there."""

from __future__ import annotations

from pathlib import Path

import pymysql

from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.redis import RedisServer

#: Must be seen nowhere.
PASSWORD = "hush-hush"


def sqlite(folder: Path) -> dict[str, str]:
    return {"QUEUE_CONNECTION": "database", "DATABASE_URL": f"sqlite:///{folder}/jobs.sqlite3"}


def postgres(server: PostgresServer, name: str) -> dict[str, str]:
    server.create_database(name)  # it lets everybody in, whatever the password
    url = f"postgresql://tabur:{PASSWORD}@127.0.0.1:{server.port}/{name}"
    return {"QUEUE_CONNECTION": "database", "DATABASE_URL": url}


def mariadb(server: MariaDBServer, name: str) -> dict[str, str]:
    server.create_database(name)
    root = pymysql.connect(unix_socket=str(server.folder / "socket"), user="root")
    with root, root.cursor() as cursor:
        cursor.execute("GRANT ALL ON *.* TO secured@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
    url = f"mysql://secured:{PASSWORD}@127.0.0.1:{server.port}/{name}"
    return {"QUEUE_CONNECTION": "database", "DATABASE_URL": url}


def redis(server: RedisServer, database: int) -> dict[str, str]:
    """In a numbered database, which it empties."""
    server.ask("ACL", "SETUSER", "secured", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    url = f"redis://secured:{PASSWORD}@127.0.0.1:{server.port}/{database}"
    return {"QUEUE_CONNECTION": "redis", "REDIS_URL": url}
