"""What may be wrong with how a Redis server is set: what it throws away, keeps and confirms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import RedisError

from tabur.drivers.redis.address import OLDEST, Address, Server
from tabur.drivers.redis.durability import Durability
from tabur.drivers.redis.faults import Lost
from tabur.model.findings import Finding, Level

#: Of maxmemory, the share from which on it is told.
MEMORY_FULL = 0.9


def examine(address: Address, durability: Durability) -> Sequence[Finding]:
    """Worst first. Raises StoreUnreachable, ConfigError where the server does not let us in."""
    connection, server = address.open(picky=False)
    try:
        saves = _setting(connection, "save")
        synced = _setting(connection, "appendfsync")
    finally:
        connection.disconnect()
    found = [
        *about_version(address.shown, server),
        *_about_eviction(address.shown, server),
        *_about_disk(address.shown, server),
        *_about_durability(address.shown, server, durability, synced),
        *_about_persistence(address.shown, server, durability, saves, synced),
        *_about_memory(address.shown, server),
    ]
    return sorted(found, key=lambda each: list(Level).index(each.level))


def _setting(connection: Any, name: str) -> str | None:
    """None where we are not let look, as with most providers."""
    try:
        connection.send_command("CONFIG", "GET", name)
        answer = connection.read_response()
    except (RedisError, *Lost):
        return None
    return answer[1].decode() if len(answer) == 2 else None


def about_version(store: str, server: Server) -> Iterator[Finding]:
    if server.version[:2] < OLDEST:
        yield Finding(
            "redis-old",
            Level.ERROR,
            f"{store} is {server.product}; Tabur needs Redis 6.2 or later, or Valkey.",
            "Install a newer one.",
        )


def _about_eviction(store: str, server: Server) -> Iterator[Finding]:
    policy = server.info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Finding(
            "redis-eviction",
            Level.ERROR,
            f"{store} may throw jobs away when its memory is full (maxmemory-policy {policy}), so "
            "that no worker and no dispatch uses it.",
            "redis-cli CONFIG SET maxmemory-policy noeviction  and write it into redis.conf, or "
            "set it in the parameters of your provider.",
        )


def _about_disk(store: str, server: Server) -> Iterator[Finding]:
    parts = {
        "rdb_last_bgsave_status": "a snapshot",
        "aof_last_write_status": "the append-only file",
    }
    for name, what in parts.items():
        if (told := server.info.get(name, "ok")) != "ok":
            yield Finding(
                "redis-disk",
                Level.ERROR,
                f"{store} could not write {what} to its disk ({name}: {told}).",
                "See its log: is the disk full, or may it not write its folder?",
            )


def _about_durability(
    store: str, server: Server, durability: Durability, synced: str | None
) -> Iterator[Finding]:
    replicas = int(server.info.get("connected_slaves", 0))
    level = durability.level
    if level == "strict" and server.version < (7, 2):
        yield Finding(
            "redis-durability",
            Level.ERROR,
            f"REDIS_DURABILITY=strict needs Redis 7.2 or later; {store} is {server.product}. "
            "Nothing can be dispatched.",
            "Use safe with a replica, or fast with appendfsync always.",
        )
    elif level == "strict" and server.info.get("aof_enabled") != "1":
        yield Finding(
            "redis-durability",
            Level.ERROR,
            f"REDIS_DURABILITY=strict needs the append-only file, which {store} does not write. "
            "Nothing can be dispatched.",
            "redis-cli CONFIG SET appendonly yes  and write it into redis.conf.",
        )
    elif level == "strict" and synced not in (None, "always"):
        yield Finding(
            "redis-durability",
            Level.WARNING,
            f"REDIS_DURABILITY=strict waits for the disk, to which {store} writes once a second "
            f"(appendfsync {synced}): each dispatch takes as long.",
            "redis-cli CONFIG SET appendfsync always",
        )
    if replicas < durability.replicas:
        yield Finding(
            "redis-replicas",
            Level.ERROR,
            f"REDIS_DURABILITY={level} waits for {durability.replicas} replicas, and {store} has "
            f"{replicas}: dispatches raise StoreUnavailable.",
            "Start the replica, or set REDIS_DURABILITY=fast.",
        )


def _about_persistence(
    store: str, server: Server, durability: Durability, saves: str | None, synced: str | None
) -> Iterator[Finding]:
    if server.info.get("aof_enabled") == "1":
        if synced == "no":
            yield Finding(
                "redis-persistence",
                Level.WARNING,
                f"{store} leaves it to its system when the append-only file reaches the disk "
                "(appendfsync no): half a minute of jobs may be lost with the machine.",
                "redis-cli CONFIG SET appendfsync everysec  and write it into redis.conf.",
            )
        return
    if durability.level == "strict":
        return  # told already
    if saves == "":
        text = "keeps nothing on its disk: all jobs are lost when it is started again"
    elif saves is None:
        text = "does not write the append-only file: what came after the last snapshot is lost"
    else:
        text = f"writes snapshots alone (save {saves}): what came after the last one is lost"
    yield Finding(
        "redis-persistence",
        Level.WARNING,
        f"{store} {text}{'' if saves == '' else ' when it dies'}.",
        "redis-cli CONFIG SET appendonly yes  and write it into redis.conf; or dispatch through an "
        "outbox (TABUR_OUTBOX_URL).",
    )


def _about_memory(store: str, server: Server) -> Iterator[Finding]:
    used, limit = (int(server.info.get(name, 0)) for name in ("used_memory", "maxmemory"))
    if limit and used > MEMORY_FULL * limit:
        yield Finding(
            "redis-memory",
            Level.WARNING,
            f"{store} has used {used / limit:.0%} of its maxmemory ({limit / 1_000_000:,.1f} MB); "
            "when it is full, nothing can be dispatched.",
            "Raise maxmemory, let workers drain the queues, or keep finished jobs for a shorter "
            "time (keep_completed).",
        )
