"""The stores under measurement: each is started for the bench alone and states its durability."""

from __future__ import annotations

from collections.abc import Callable

from bench.stores.mariadb import MariaDB
from bench.stores.postgres import Postgres
from bench.stores.redis import Redis
from bench.stores.sqlite import SQLite
from bench.stores.store import Store

STORES: dict[str, Callable[[], Store]] = {
    "sqlite": SQLite,
    "postgres": Postgres,
    "mariadb": MariaDB,
    "redis": Redis,
}

__all__ = ["STORES", "Store"]
