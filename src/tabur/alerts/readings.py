"""What rules judge: how a store and a host stand at one moment. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tabur.alerts.kinds import Kind


class Line(msgspec.Struct, frozen=True):
    """A queue. `pending`: jobs that could run now; `oldest`: when the first in line was dispatched,
    in microseconds; `workers`: how many worker processes work it; `paused`: nothing is taken from
    it, because somebody wanted it so."""

    queue: str
    pending: int
    oldest: int | None
    workers: int
    paused: bool = False


class Ends(msgspec.Struct, frozen=True):
    """Jobs that ended within the last `seconds`."""

    seconds: float
    failed: int
    completed: int


class Running(msgspec.Struct, frozen=True):
    """A job that runs. `since` in microseconds; `timeout` in seconds, None: it has no limit."""

    id: str
    name: str
    queue: str
    since: int
    timeout: float | None


class Missed(msgspec.Struct, frozen=True):
    """Ticks of one schedule that were missed of late. `due_at`: the last of them, microseconds."""

    schedule: str
    count: int
    due_at: int
    reason: str


class Disk(msgspec.Struct, frozen=True):
    """Where a path lies. Bytes."""

    path: str
    free: int
    total: int


class Reading(msgspec.Struct, frozen=True):
    """How a store stands (then `scope` is its connection), or a host (`host:NAME`). What no rule
    asked for is empty. `now` by the store's clock, microseconds."""

    scope: str
    now: int
    lines: tuple[Line, ...] = ()
    ends: Mapping[str, Ends] = {}
    """By the rule that asks, as `FailureRate.asks` names it."""
    kinds: tuple[Kind, ...] = ()
    running: tuple[Running, ...] = ()
    missed: tuple[Missed, ...] = ()
    schedules: bool = False
    """Whether there is a schedule that may become due."""
    scheduler_seen: int | None = None
    """When the scheduler seen last was seen; None: there never was one."""
    disks: tuple[Disk, ...] = ()


class Finding(msgspec.Struct, frozen=True):
    """Something that a rule objects to. `subject` tells it from others of the same rule and scope;
    `values` are for its text, and empty where they are as they were."""

    rule: str
    scope: str
    subject: str = ""
    queue: str | None = None
    values: dict[str, Any] = {}

    @property
    def key(self) -> str:
        return f"{self.rule}/{self.scope}/{self.subject}"
