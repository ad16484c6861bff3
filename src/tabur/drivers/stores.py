"""The stores of one app, each opened when first needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from tabur.config import DEFAULT_REDIS_URL, Settings
from tabur.drivers.contract import Driver
from tabur.errors import ConfigError


class Stores(Protocol):
    """One driver for each connection. `beside`: others, in which jobs may be too."""

    beside: Sequence[Driver]

    def get(self, connection: str) -> Driver:
        """The driver; opened when first asked for. Raises ConfigError."""

    def close(self) -> None:
        """Close what is open; the next use opens it again."""


class ConfiguredStores:
    """As the settings say."""

    beside: Sequence[Driver] = ()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[str, Driver] = {}
        self._lock = threading.RLock()

    def get(self, connection: str) -> Driver:
        found = self._open.get(connection)
        if found is None:
            with self._lock:
                found = self._open.get(connection)
                if found is None:
                    found = self._open[connection] = _open(connection, self._settings)
        return found

    def close(self) -> None:
        with self._lock:
            for driver in self._open.values():
                driver.close()
            self._open.clear()


def _open(connection: str, settings: Settings) -> Driver:
    if connection == "database":
        from tabur.drivers.database.driver import DatabaseDriver

        return DatabaseDriver(settings.database_url, silence=settings.silence)
    if connection == "redis":
        return _with_outbox(_open_redis(settings), f"redis {settings.redis_prefix}", settings)
    from tabur.drivers.memory.driver import MemoryDriver

    memory = MemoryDriver(name=connection)
    return memory if connection == "sync" else _with_outbox(memory, "memory", settings)


def _open_redis(settings: Settings) -> Driver:
    try:
        from tabur.drivers.redis.driver import RedisDriver
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in ("redis", "hiredis"):
            raise
        raise ConfigError(
            'QUEUE_CONNECTION=redis needs redis-py. Run: pip install "tabur[redis]"'
        ) from None
    return RedisDriver(
        settings.redis_url or DEFAULT_REDIS_URL,
        prefix=settings.redis_prefix,
        durability=settings.redis_durability,
        replicas=settings.redis_replicas,
        timeout=settings.silence,
    )


def _with_outbox(driver: Driver, target: str, settings: Settings) -> Driver:
    if settings.outbox_url is None:
        return driver
    from tabur.drivers.outbox.driver import OutboxDriver
    from tabur.drivers.outbox.outbox import Outbox

    return OutboxDriver(driver, Outbox(settings.outbox_url, target))
