"""The `redis` driver: wires the roles over one connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabur.drivers.clock import StoreClock
from tabur.drivers.contract import (
    Batches,
    Claiming,
    Control,
    Dispatching,
    Inspection,
    Listener,
    Notes,
    Retention,
    Schedules,
    Transfer,
    Workers,
)
from tabur.drivers.redis.address import Address, Server
from tabur.drivers.redis.batches import RedisBatches
from tabur.drivers.redis.claiming import RedisClaiming
from tabur.drivers.redis.control import RedisControl
from tabur.drivers.redis.dispatching import RedisDispatching
from tabur.drivers.redis.durability import make_durability
from tabur.drivers.redis.examining import examine
from tabur.drivers.redis.inspection import RedisInspection
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.listener import RedisListener
from tabur.drivers.redis.notes import RedisNotes
from tabur.drivers.redis.retention import RedisRetention
from tabur.drivers.redis.schedules import RedisSchedules
from tabur.drivers.redis.scripts import Keys
from tabur.drivers.redis.transfer import RedisTransfer
from tabur.drivers.redis.workers import RedisWorkers
from tabur.model.clock import SECOND
from tabur.model.findings import Finding


class RedisDriver:
    """Jobs in Redis or Valkey, under keys that begin with `{prefix}`.

    `url`: see Address. `durability`: see Durability; `replicas` is how many must confirm (safe: 1,
    strict: 0, unless given). `timeout` (seconds) bounds every answer. `clock` (microseconds) is for
    tests: without one, the server's own counts. Raises ConfigError for what cannot work; connects
    when it is first used.
    """

    name = "redis"

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "tabur",
        durability: str = "fast",
        replicas: int | None = None,
        timeout: float = 10.0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._keys = keys = Keys(prefix)
        self._durability = make_durability(durability, replicas)
        self._address = Address(url, key=keys["jobs"], timeout=timeout)
        self._link = link = Link(self._address, keys, self._durability)
        self._clock = clock or StoreClock(self._ask_clock)
        now: Callable[[], Word] = clock if clock is not None else lambda: b""
        inspection = RedisInspection(link, keys)
        self.dispatching: Dispatching = RedisDispatching(link, keys, inspection, now)
        self.claiming: Claiming = RedisClaiming(link, now)
        self.batches: Batches = RedisBatches(link, keys, now)
        self.transfer: Transfer = RedisTransfer(link, keys, now)
        self.workers: Workers = RedisWorkers(link, keys)
        self.control: Control = RedisControl(link, keys, now)
        self.inspection: Inspection = inspection
        self.retention: Retention = RedisRetention(link, keys)
        self.schedules: Schedules = RedisSchedules(link, keys, now)
        self.notes: Notes = RedisNotes(link, keys)

    def now(self) -> int:
        return self._clock()

    def listen(self) -> Listener:
        return RedisListener(self._address, self._keys["wake"])

    def migrate(self) -> Sequence[str]:
        """There is nothing to make: keys come and go with the jobs."""
        return []

    def script(self) -> Sequence[str]:
        return []

    def check(self) -> Mapping[str, Any]:
        server = Server(self._link.ask("INFO"))
        info = server.info
        return {
            "store": self._address.shown,
            "prefix": self._keys.prefix,
            "engine": server.product,
            "durability": self._durability.level,
            "append-only file": _append_only(info),
            "eviction": info.get("maxmemory_policy", "unknown"),
            "memory": _memory(info),
            "replicas": info.get("connected_slaves", "0"),
        }

    def examine(self) -> Sequence[Finding]:
        """On a connection of its own: the one for work is refused by a server that is set wrong."""
        return examine(self._address, self._durability)

    def close(self) -> None:
        self._link.close()

    def _ask_clock(self) -> int:
        seconds, rest = self._link.ask("TIME")
        return int(seconds) * SECOND + int(rest)


def _append_only(info: Mapping[str, str]) -> str:
    return "on" if info.get("aof_enabled") == "1" else "off"


def _memory(info: Mapping[str, str]) -> str:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    most = f" of {limit / 1_000_000:,.1f} MB" if limit else ", no limit"
    return f"{used / 1_000_000:,.1f} MB{most}"
