"""What stores keep of schedules: when each is next due, and what became of every tick.

A *tick* is one moment at which a schedule is due. It is keyed by schedule and moment, and is
written in the transaction that dispatches its job and moves the schedule on: two who come at once
cannot both have decided it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.model.records import NewJob
from tabur.model.text import shown, storable

#: Characters of a name, of a schedule or a note; of an expression; of a time zone.
LONGEST_NAME, LONGEST_EXPRESSION, LONGEST_ZONE = 200, 500, 100
#: Characters of a tick's reason, and of who decided it; what is longer is cut.
LONGEST_REASON, LONGEST_SCHEDULER = 500, 200
#: The last moment that every store can keep, microseconds: in the year 2255.
LATEST = 2**53
#: Bytes of a note.
LONGEST_NOTE = 65_536


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
    """Those that the ticks name; another one is passed over."""
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


def check_name(name: str) -> None:
    """Raises ConfigError for what cannot be a name: it is empty, too long, or no text that each
    store can keep."""
    _check_text(name, "A name", LONGEST_NAME)
    if not name:
        raise ConfigError("A name is empty: write at least one character.")


def check_record(record: ScheduleRecord) -> None:
    """Raises ConfigError for what not every store can keep."""
    check_name(record.name)
    of = f"of the schedule {record.name!r}"
    _check_text(record.cron_expression, f"The expression {of}", LONGEST_EXPRESSION)
    _check_text(record.timezone, f"The time zone {of}", LONGEST_ZONE)
    for moment in (record.next_run_at, record.last_run_at, record.waiting):
        _check_moment(moment, of)


def checked(move: Advance) -> Advance:
    """`move` with texts that each store can keep: a tick is not lost for its reason. Raises
    ConfigError for what cannot be mended."""
    of = f"of the schedule {shown(move.schedule)}"
    ticks: dict[int, Tick] = {}
    for tick in move.ticks:
        if tick.schedule != move.schedule:
            raise ConfigError(f"A tick {of} names {shown(tick.schedule)}: move each by itself.")
        reason = _fitting(tick.reason, LONGEST_REASON)
        scheduler = _fitting(tick.scheduler, LONGEST_SCHEDULER)
        ticks.setdefault(tick.due_at, replace(tick, reason=reason, scheduler=scheduler))
    for moment in (move.next_run_at, move.waiting, *ticks):
        _check_moment(moment, of)
    return replace(move, ticks=tuple(ticks.values()))


def check_note(value: bytes) -> None:
    """Raises ConfigError for what is too large."""
    if len(value) > LONGEST_NOTE:
        raise ConfigError(f"A note has {len(value):,} bytes, and may have {LONGEST_NOTE:,}.")


def _check_text(text: str, what: str, longest: int) -> None:
    if len(text) > longest:
        raise ConfigError(
            f"{what} has {len(text)} characters, and may have {longest}: {shown(text)}"
        )
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise ConfigError(
            f"{what} holds a character that stores cannot keep (NUL, or half of a pair of "
            f"surrogates): {shown(text)}"
        )


def _check_moment(moment: int | None, of: str) -> None:
    if moment is not None and not 0 <= moment < LATEST:
        raise ConfigError(
            f"A moment {of} is {shown(moment)}: it counts microseconds since 1970, until 2255."
        )


def _fitting(text: str, width: int) -> str:
    return storable(text, limit=4 * width)[:width]
