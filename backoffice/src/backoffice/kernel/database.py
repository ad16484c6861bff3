"""The database: base of the models, column types, and the one upsert."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, DateTime, Engine, Table, create_engine, make_url
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass
from sqlalchemy.types import TypeDecorator

_THOUSAND = Decimal(1000)


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    """Base of every model."""


class Thousandths(TypeDecorator[Decimal]):
    """A Decimal of up to three decimals, kept as an integer: SQLite has no decimals of its own."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value * _THOUSAND)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-3)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on every store; SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def now() -> datetime:
    return datetime.now(UTC)


def make_engine(url: str) -> Engine:
    """An engine that does not connect yet, on SQLite or PostgreSQL; makes the folder of a SQLite
    file."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")  # the client that Tabur brings
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    return create_engine(parsed)


def upsert(table: Table, engine_name: str, *, key: Collection[str], change: Collection[str]) -> Any:
    """INSERT that updates the columns of `change` where `key` is taken already."""
    # The dialects are imported when they are used: all of them weigh on every worker.
    insert = import_module(f"sqlalchemy.dialects.{engine_name}").insert(table)
    return insert.on_conflict_do_update(
        index_elements=list(key), set_={name: insert.excluded[name] for name in change}
    )
