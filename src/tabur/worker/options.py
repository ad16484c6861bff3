"""What `queue:work` was asked for."""

from __future__ import annotations

import os
from math import inf

import msgspec

from tabur.errors import ConfigError
from tabur.model.retry import Policy
from tabur.model.scaling import TARGET, Limits, evenly
from tabur.model.states import Isolation

#: Of `lost`, the share after which a worker that cannot beat ends its jobs: before others may
#: take them.
ADRIFT = 2 / 3


class Balance(msgspec.Struct, frozen=True):
    """How many processes queues may have that are balanced. `limits` by queue, in the order in
    which draws are settled; `total` in all; `target` and `cooldown` in seconds, as `Balancer`
    has them."""

    limits: dict[str, Limits]
    total: int = 10
    target: float = TARGET
    cooldown: float = 30.0
    max_shift: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.target < inf:
            raise ConfigError(f"--target={self.target:g}: seconds above 0 are needed.")

    def __str__(self) -> str:
        """`mail 1–10, sms 2–4 processes, 10 in all; what waits is to be done in 60 s`."""
        each = ", ".join(
            f"{queue} {limits.minimum}–{limits.maximum}" for queue, limits in self.limits.items()
        )
        done = f"what waits is to be done in {self.target:g} s"
        return f"{each} processes, {self.total} in all; {done}"


class WorkOptions(msgspec.Struct, frozen=True):
    """Spans in seconds; `timeout` 0: none; `max_jobs`, `max_time` 0: no limit; per child."""

    queues: tuple[str, ...] = ("default",)
    processes: int = 1
    divided: bool = False
    """Each queue has processes of its own, evenly many."""
    balance: Balance | None = None
    """Each queue has processes of its own, as many as it needs; None: as many as were asked for."""
    async_slots: int = 100
    thread_slots: int = 10
    process_slots: int = 0
    """0: as many as there are cores, at least two and no more than threads."""
    policy: Policy = Policy()
    """For jobs that say nothing themselves."""
    timeout: float = 60.0
    sleep: float = 1.0
    rest: float = 0.0
    grace: float = 30.0
    max_jobs: int = 0
    max_time: float = 0.0
    memory: int = 0
    """MB of a child, checked between jobs; 0: no limit."""
    once: bool = False
    stop_when_empty: bool = False
    stop_when_empty_for: float = 0.0
    """Stop when nothing was there to run for so long; 0: never."""
    unknown_for: float = 600.0
    """How long a job whose name this app does not know is left to other workers before it fails."""
    beat: float = 5.0
    lost: float = 30.0
    """A worker without a beat for so long is lost; the same for all workers of a store."""
    output: str = "lines"
    """lines, json or quiet."""
    verbose: bool = False
    log_level: str = "info"
    """Of what is told to Python's logging."""

    def __post_init__(self) -> None:
        counts = {"processes": self.processes, "concurrency": self.async_slots}
        for what, value in counts.items():
            if not 1 <= value <= 10_000:
                raise ConfigError(f"--{what}={value}: a number from 1 to 10,000 is needed.")

    @property
    def groups(self) -> dict[tuple[str, ...], int]:
        """How many processes begin to work for which queues."""
        if self.balance is not None:
            limits = self.balance.limits.items()
            return {(queue,): each.minimum for queue, each in limits}
        if self.divided:
            each = evenly(self.queues, self.processes)
            return {(queue,): count for queue, count in each.items()}
        return {self.queues: self.processes}

    @property
    def ends_when_empty(self) -> bool:
        return self.once or self.stop_when_empty or self.stop_when_empty_for > 0

    @property
    def adrift(self) -> float:
        """Seconds without a beat after which a worker ends its jobs."""
        return self.lost * ADRIFT

    def for_child(self, queues: tuple[str, ...], random: float) -> WorkOptions:
        """What one child is to keep to. Its limits are wider or narrower by up to a tenth, as
        `random` in [0, 1) says: children that began together do not all end together."""
        alone = self.processes == 1
        return msgspec.structs.replace(
            self,
            queues=queues,
            max_jobs=self.max_jobs if alone else int(self.max_jobs * (1 + random / 10)),
            max_time=self.max_time * (1 + random / 10),
            memory=int(self.memory * (1 - random / 20)),
        )

    def slots(self) -> dict[Isolation, int]:
        """How many jobs of each isolation one child runs at once."""
        if self.once:
            return dict.fromkeys(Isolation, 1)
        cores = max(2, os.cpu_count() or 1)
        return {
            Isolation.LOOP: self.async_slots,
            Isolation.THREAD: self.thread_slots,
            Isolation.PROCESS: self.process_slots or min(self.thread_slots, cores),
        }
