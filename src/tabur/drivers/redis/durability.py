"""When a dispatch counts as done: what the server must have confirmed before we say so."""

from __future__ import annotations

from dataclasses import dataclass

from tabur.drivers.redis.address import Server
from tabur.errors import ConfigError, StoreUnavailable

#: Milliseconds that a replica or a disk has for confirming.
PATIENCE = 2000


@dataclass(frozen=True)
class Durability:
    """`fast`: the server has it in memory, and what its own persistence gives. `safe`: at least
    `replicas` replicas have it in memory as well. `strict`: it is on the server's disk, and on
    those of `replicas` replicas."""

    level: str
    replicas: int

    @property
    def command(self) -> tuple[str | int, ...] | None:
        """What is asked after a write, on the same connection."""
        if self.level == "safe":
            return ("WAIT", self.replicas, PATIENCE)
        if self.level == "strict":
            return ("WAITAOF", 1, self.replicas, PATIENCE)
        return None

    def confirm(self, store: str, answer: int | list[int]) -> None:
        """Raises StoreUnavailable where too few have confirmed."""
        if isinstance(answer, int):
            if answer < self.replicas:
                raise StoreUnavailable(
                    f"{store} has it, but {answer} of {self.replicas} replicas confirmed it within "
                    f"{PATIENCE / 1000:.0f} s: a failover now might lose it. Repeating is safe. "
                    "Without replicas, use durability 'fast' or 'strict'."
                )
        elif answer[0] < 1 or answer[1] < self.replicas:
            raise StoreUnavailable(
                f"{store} has it, but disks did not confirm it within {PATIENCE / 1000:.0f} s "
                f"(its own: {answer[0]} of 1, replicas: {answer[1]} of {self.replicas}). "
                "Repeating is safe. Set appendfsync always for quick confirmations."
            )

    def check(self, store: str, server: Server) -> None:
        """Raises ConfigError where the server cannot give it."""
        if self.level != "strict":
            return
        if server.version < (7, 2):
            raise ConfigError(
                f"Durability 'strict' needs WAITAOF, which Redis has from 7.2 on; {store} is "
                f"{server.product}. Use 'safe' with a replica, or 'fast' with appendfsync always."
            )
        if server.info.get("aof_enabled") != "1":
            raise ConfigError(
                f"Durability 'strict' needs the append-only file. Run on {store}: redis-cli CONFIG "
                "SET appendonly yes  and write it into redis.conf."
            )


def make_durability(level: str, replicas: int | None) -> Durability:
    if level not in ("fast", "safe", "strict"):
        raise ConfigError(f"Redis durability {level!r} is not known; write fast, safe or strict.")
    if replicas is None:
        replicas = 1 if level == "safe" else 0
    if replicas < (1 if level == "safe" else 0):
        raise ConfigError("Redis durability 'safe' asks for at least one replica.")
    return Durability(level, replicas)
