"""An application whose orders and jobs are in one database, on each engine."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Engine, create_engine, delete, func, select, text
from sqlalchemy.pool import NullPool

from tabur import FunctionJob, Tabur
from tabur.drivers.database.schema import metadata
from tabur.model.ids import new_id

ORDER = text("INSERT INTO orders VALUES ('tea')")

#: The clients that a caller may use on each engine: asynchronous ones by their SQLAlchemy names.
ASYNC_CLIENTS = {
    "sqlite": ("aiosqlite",),
    "postgresql": ("asyncpg", "psycopg"),
    "mysql": ("asyncmy",),
}


class Server(Protocol):
    def create_database(self, name: str) -> str: ...


class Shop:
    """An app and an engine on one database, with one table of its own. `server` makes databases
    where the engine has one."""

    def __init__(self, url: str, server: Server | None = None) -> None:
        self.url = url
        self.server = server
        self.jobs = Tabur(database_url=url)
        self.engine: Engine = create_engine(url)
        self.confirm: FunctionJob[..., None] = self.jobs.job(name="confirm")(confirm)

    def waiting(self) -> int:
        return self._count("jobs")

    def orders(self) -> int:
        return self._count("orders")

    def another_database(self) -> str:
        """The URL of an empty one beside it, by the same client."""
        if self.server is not None:
            return self.server.create_database(f"other_{new_id().hex()}")
        return self.url.replace("shop.", "other.")

    def empty(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("DELETE FROM orders"))
            for table in metadata.sorted_tables:
                if table.name not in ("tabur_schema", "job_signals"):
                    connection.execute(delete(table))

    def close(self) -> None:
        self.jobs.close()
        self.engine.dispose()

    def _count(self, table: str) -> int:
        with self.engine.connect() as connection:
            query = select(func.count()).select_from(text(table))
            return int(connection.execute(query).scalar_one())


def open_shop(url: str) -> None:
    """Make the tables of both."""
    jobs = Tabur(database_url=url)
    jobs.migrate()
    jobs.close()
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (item VARCHAR(20))"))
    engine.dispose()


def confirm(order_id: int) -> None:
    pass
