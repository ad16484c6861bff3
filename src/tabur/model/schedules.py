"""What stores keep of schedules: when each is next due, and what became of every tick.

A *tick* is one moment at which a schedule is due. It is keyed by schedule and moment, and is
written in the transaction that dispatches its job and moves the schedule on: two who come at once
cannot both have decided it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tabur.model.records import NewJob


class Origin(StrEnum):
    """Where a schedule comes from."""

    CODE = "code"
    """The application declares it."""
    TABLE = "table"
    """Somebody made it at run time."""


class ScheduleRecord(msgspec.Struct, frozen=True):
    """A schedule as it stands in the store. Moments in microseconds, UTC."""

    name: str
    origin: Origin
    definition: bytes
    """JSON of all that the scheduler knows of it; stores do not look into it."""
    cron_expression: str
    """For people: five or six fields, or `every 30 seconds`."""
    timezone: str
    next_run_at: int | None
    """The first tick that nobody has decided yet; None: there is none any more."""
    last_run_at: int | None = None
    """The last tick whose job was dispatched."""
    is_active: bool = True
    """False while somebody has paused it: it is never due then."""
    last_job: bytes | None = None
    """The job of the last tick that had one: whether it still runs is asked of the store."""
    waiting: int | None = None
    """A tick that has come and waits until the job before it has ended; `next_run_at` is then when
    to look again."""
    revision: int = 1
    """Counts its changes by people and by code, not its ticks."""


class Decision(StrEnum):
    """What became of a tick."""

    DISPATCHED = "dispatched"
    SKIPPED = "skipped"
    MISSED = "missed"
    """It was due while no scheduler ran, and its policy lets it go."""


class Tick(msgspec.Struct, frozen=True):
    """What became of one tick. Moments in microseconds, UTC."""

    schedule: str
    due_at: int
    decision: Decision
    decided_at: int
    reason: str = ""
    """Why it was skipped or missed, in words."""
    job: bytes | None = None
    scheduler: str = ""
    """Who decided it."""


class Advance(msgspec.Struct, frozen=True):
    """Ticks of one schedule as they were decided, their jobs, and where it stands then."""

    schedule: str
    revision: int
    seen: int
    """The `next_run_at` that was decided from: another one in the store means that another
    scheduler was first."""
    ticks: tuple[Tick, ...]
    next_run_at: int | None
    jobs: tuple[NewJob, ...] = ()
    waiting: int | None = None


class DueSchedules(msgspec.Struct, frozen=True):
    now: int
    due: tuple[ScheduleRecord, ...]
    next_due: int | None
    """When the first of those that are not due yet will be; None: there is none."""


class Note(msgspec.Struct, frozen=True):
    """A small thing remembered beside the jobs, such as what an alert has told."""

    name: str
    value: bytes
    revision: int


class SchedulerBeat(msgspec.Struct, frozen=True):
    """What a scheduler leaves as the note `scheduler/<id>` while it is well. `at`: the store's now,
    in microseconds; `every`: seconds until the next one; `kind`: `work` or `run` (from crontab)."""

    id: str
    kind: str
    host: str
    pid: int
    at: int
    every: float
    version: str = ""


BEATS = "scheduler/"
INTERRUPT = "schedules/interrupt"
"""Whose revision changes when the schedulers of now are to end."""
