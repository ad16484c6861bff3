"""The table `job_outbox`, in the application's own database, and who connects to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import (
    BINARY,
    BigInteger,
    Column,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tabur.errors import ConfigError

#: Seconds until a connection is given up that does not come to be.
CONNECT_TIMEOUT = 5

metadata = MetaData()

outbox = Table(
    "job_outbox",
    metadata,
    # SQLite numbers rows by itself only where the column is called INTEGER.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # Not unique: the same idempotency key may come twice at once, and neither caller is to wait
    # for the other or to fail. The store passes the second one over.
    Column("id", LargeBinary(16).with_variant(BINARY(16), "mysql", "mariadb"), nullable=False),
    Column("target", String(250), nullable=False),
    # 16 MiB: MySQL would else make it 64 KiB.
    Column("job", LargeBinary(2**24 - 1), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # When somebody first began to bring it: one without has certainly not been brought.
    Column("sending_at", BigInteger),
    # Of what is brought at once, batches and jobs: the id of the first of them.
    Column("head", LargeBinary(16).with_variant(BINARY(16), "mysql", "mariadb")),
)
Index("job_outbox_id", outbox.c.id)
by_head = Index("job_outbox_head", outbox.c.head)


def open_engine(url: URL) -> Engine:
    """An engine of the outbox's own, with few connections. Raises ConfigError."""
    engine = url.get_backend_name()
    options: dict[str, Any] = {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True}
    if engine == "sqlite":
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    else:
        options["connect_args"] = {"connect_timeout": CONNECT_TIMEOUT}
    if engine in ("mysql", "mariadb"):
        # Else a relay that reads the end of the table would hold up whoever inserts there.
        options["isolation_level"] = "READ COMMITTED"
    try:
        return create_engine(url, **options)
    except ModuleNotFoundError as missing:
        extra = _EXTRAS.get(engine)
        todo = f'pip install "tabur[{extra}]"' if extra else f"pip install {missing.name}"
        raise ConfigError(f"TABUR_OUTBOX_URL needs {missing.name}. Run: {todo}") from None


def parse(url: str) -> URL:
    """The URL for a driver that is synchronous and among the extras. Raises ConfigError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter for what is no port
        raise ConfigError(
            "TABUR_OUTBOX_URL is not a URL; write the one of your database, such as "
            "postgresql://user@host/shop."
        ) from None
    name = parsed.drivername
    parsed = parsed.set(drivername=_DRIVERS.get(name, name))
    if parsed.get_backend_name() not in ("sqlite", "postgresql", "mysql", "mariadb"):
        raise ConfigError(
            f"TABUR_OUTBOX_URL names {parsed.get_backend_name()}; an outbox is kept in SQLite, "
            "PostgreSQL, MySQL or MariaDB."
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError("TABUR_OUTBOX_URL names no file. Write sqlite:///var/shop.sqlite3.")
    return parsed


def shown(url: URL) -> str:
    """Without its password."""
    return url.render_as_string(hide_password=True)


def same_database(one: URL, other: URL) -> bool:
    """Whether both name one database. Hosts are not compared: a pooler, a socket and a name lead to
    the same server."""

    def family(url: URL) -> str:
        return {"mariadb": "mysql"}.get(url.get_backend_name(), url.get_backend_name())

    if family(one) != family(other):
        return False
    if family(one) == "sqlite":
        return Path(one.database or "").resolve() == Path(other.database or "").resolve()
    return one.database == other.database


_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+asyncpg": "postgresql+psycopg",
    "postgresql+psycopg_async": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mysql+aiomysql": "mysql+pymysql",
    "mysql+asyncmy": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+aiomysql": "mariadb+pymysql",
    "mariadb+asyncmy": "mariadb+pymysql",
    "sqlite+aiosqlite": "sqlite",
}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
