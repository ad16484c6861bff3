"""What becomes of the ticks of a schedule: its definition, and the place where that is decided."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from math import inf
from typing import Any, TypeVar

import msgspec

from tabur.errors import ConfigError
from tabur.model.clock import SECOND, as_datetime
from tabur.model.records import NewJob
from tabur.model.schedules import Advance, Decision, ScheduleRecord, Tick
from tabur.model.text import shown
from tabur.model.timing import Times, Timing, times_of

E = TypeVar("E", bound=StrEnum)

#: Ticks of one schedule that are decided one by one; those before them are told as one.
MANY = 1_000
#: Seconds between two looks at whether a job has ended for which a tick waits: first, and longest.
LOOK_FIRST, LOOK_LONGEST = 1, 30
#: Seconds after which `missed="skip"` lets a tick go that was found late.
GRACE = 60.0
MISSED_LIMIT = 10


class Missed(StrEnum):
    """What becomes of ticks that came while no scheduler ran."""

    SKIP = "skip"
    """None runs but the last one, and that only within the grace."""
    LAST = "last"
    """The last one runs, however late: one run makes up for all."""
    ALL = "all"
    """Each runs; of many, the latest `missed_limit`."""


class Overlap(StrEnum):
    """What becomes of a tick while the job of the one before has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    WAIT = "wait"
    """It waits until that has ended. Others that come meanwhile are skipped; with `missed="all"`
    they wait behind it."""


class TickPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    missed: Missed = Missed.LAST
    missed_limit: int = MISSED_LIMIT
    overlap: Overlap = Overlap.ALLOW
    grace: float | None = None
    """Seconds after its time in which a tick may still run; None: 60 where missed is `skip`, else
    for ever. One that waits for the job before it has run into no grace."""

    @property
    def latest(self) -> int | None:
        """The grace in microseconds."""
        grace = GRACE if self.grace is None and self.missed is Missed.SKIP else self.grace
        return None if grace is None else int(grace * SECOND)


class Window(msgspec.Struct, frozen=True):
    """Part of a day in the schedule's time zone, in minutes from midnight, both ends included; over
    midnight where `last` comes before `first`. `inside` False: the rest of the day."""

    first: int
    last: int
    inside: bool = True

    def holds(self, minute: int) -> bool:
        if self.first <= self.last:
            within = self.first <= minute <= self.last
        else:
            within = minute >= self.first or minute <= self.last
        return within is self.inside

    def __str__(self) -> str:
        between = f"{_clock(self.first)} and {_clock(self.last)}"
        return f"between {between}" if self.inside else f"outside {between}"


class JobCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """The job that a tick dispatches: `arguments` as JSON, and what `options()` set."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    queue: str | None = None
    priority: int | None = None
    tries: int | None = None
    timeout: float | None = None
    tenant: str | None = None
    user: str | None = None
    locale: str | None = None


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a scheduler knows of a schedule, as the store keeps it."""

    timing: Timing
    job: JobCall
    policy: TickPolicy = TickPolicy()
    windows: tuple[Window, ...] = ()
    runs: str = ""
    """What runs, for people, where that is not the job's name: a command."""
    conditional: bool = False
    """Code decides too: `when` and `skip` of the application."""


def make_policy(
    *,
    missed: str = Missed.LAST,
    missed_limit: int = MISSED_LIMIT,
    overlap: str = Overlap.ALLOW,
    grace: timedelta | float | None = None,
) -> TickPolicy:
    """Of what a person gives. Raises ConfigError."""
    limit: Any = missed_limit
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MANY:
        raise ConfigError(f"missed_limit={shown(limit)}: a number from 1 to {MANY:,} is needed.")
    seconds: Any = grace.total_seconds() if isinstance(grace, timedelta) else grace
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < inf
    ):
        raise ConfigError(f"grace={shown(grace)}: seconds above 0 or a timedelta are needed.")
    return TickPolicy(
        _choice(Missed, missed, "missed"),
        missed_limit,
        _choice(Overlap, overlap, "overlap"),
        seconds,
    )


def _choice(kind: type[E], value: str, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise ConfigError(f"{what}={shown(value)} is not known; there are: {known}.") from None


def parse_clock(text: str) -> int:
    """`8:30` in minutes from midnight. Raises ConfigError."""
    given: Any = text
    hour, colon, minute = given.partition(":") if isinstance(given, str) else ("", "", "")
    if not (hour.isdecimal() and len(hour) <= 2 and int(hour) < 24) or (
        colon and not (minute.isdecimal() and len(minute) == 2 and int(minute) < 60)
    ):
        raise ConfigError(f"{shown(text)} is no time of a day; write '8:30' or '14:00'.")
    return int(hour) * 60 + int(minute or 0)


def decode_definition(raw: bytes) -> Definition:
    """Raises ConfigError for what cannot be read: a later version may have written it."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"Its definition cannot be read: {error}") from None


_decoder = msgspec.json.Decoder(Definition)


class Choices(msgspec.Struct, frozen=True):
    """What a decision asks for. `running`: whether the job of the last tick has not ended yet;
    `refuses`: why a tick is not to run, or None; `job`: the job of a tick."""

    running: Callable[[], bool]
    refuses: Callable[[int], str | None]
    job: Callable[[int], NewJob]


def decide_ticks(
    record: ScheduleRecord, definition: Definition, now: int, choices: Choices, *, scheduler: str
) -> Advance:
    """What becomes of every tick of `record` that has come at `now`, and where it stands then. The
    one place where a rule about ticks exists."""
    assert record.next_run_at is not None
    times = times_of(definition.timing)
    policy = definition.policy
    first = record.next_run_at if record.waiting is None else record.waiting
    came, more = ticks_until(times, first, now)
    told = _Told(record.name, now, scheduler, definition.timing)
    candidates = _candidates(came, policy, told, now, waiting=record.waiting, more=more)
    busy: bool | None = None
    jobs: list[NewJob] = []
    waiting: int | None = None
    for at in candidates:
        if policy.overlap is not Overlap.ALLOW:
            busy = choices.running() if busy is None else busy
            if busy and policy.overlap is Overlap.SKIP:
                told.skip(at, "the job of the tick before has not ended")
                continue
            if busy:
                waiting = at
                break
        why = _outside(definition, times, at) or choices.refuses(at)
        if why is not None:
            told.skip(at, why)
            continue
        job = choices.job(at)
        jobs.append(job)
        told.dispatch(at, job)
        busy = True
    if waiting is not None:
        if policy.missed is not Missed.ALL:
            told.keep(lambda tick: tick.due_at < waiting)
        next_run_at: int | None = now + _look_again(now - waiting)
    else:
        next_run_at = times.after(max(now, came[-1]))
    return Advance(
        record.name,
        record.revision,
        seen=record.next_run_at,
        ticks=told.sorted(),
        next_run_at=next_run_at,
        jobs=tuple(jobs),
        waiting=waiting,
    )


def ticks_until(times: Times, first: int, now: int) -> tuple[list[int], bool]:
    """`first` and the ticks after it up to `now`. Of very many `first` and the latest; then the
    second answer is True."""
    found = [first]
    for at in times.upcoming(first):
        if at > now:
            return found, False
        found.append(at)
        if len(found) > MANY:
            break
    else:
        return found, False
    span = MANY * SECOND
    while True:  # look back until there are enough: they may come often now, and rarely before
        begin = max(first, now - span)
        late: list[int] = []
        for at in times.upcoming(begin):
            if at > now:
                break
            late.append(at)
            if len(late) > 2 * MANY:  # too wide a look: only the latest count
                late = late[MANY:]
        if len(late) >= MANY or begin == first:
            return [first, *late[-MANY:]], True
        span *= 2


class _Told:
    """The ticks as they are decided."""

    def __init__(self, schedule: str, now: int, scheduler: str, timing: Timing) -> None:
        self._schedule = schedule
        self._now = now
        self._scheduler = scheduler
        self._ticks: dict[int, Tick] = {}
        self.timing = timing

    def skip(self, at: int, why: str) -> None:
        self._put(at, Decision.SKIPPED, why)

    def miss(self, at: int, why: str) -> None:
        self._put(at, Decision.MISSED, why)

    def dispatch(self, at: int, job: NewJob) -> None:
        self._put(at, Decision.DISPATCHED, "", job.id)

    def keep(self, which: Callable[[Tick], bool]) -> None:
        self._ticks = {at: tick for at, tick in self._ticks.items() if which(tick)}

    def sorted(self) -> tuple[Tick, ...]:
        return tuple(self._ticks[at] for at in sorted(self._ticks))

    def _put(self, at: int, decision: Decision, why: str, job: bytes | None = None) -> None:
        self._ticks[at] = Tick(self._schedule, at, decision, self._now, why, job, self._scheduler)


def _candidates(
    came: list[int], policy: TickPolicy, told: _Told, now: int, *, waiting: int | None, more: bool
) -> list[int]:
    """Those that may run, in their order; the others are told."""
    if waiting is not None and policy.missed is not Missed.ALL:
        for at in came[1:]:
            told.skip(at, f"the tick of {_moment(waiting)} was waiting")
        return [waiting]
    limit = policy.missed_limit if policy.missed is Missed.ALL else 1
    for at in came[:-limit]:
        told.miss(at, f"found {_late(now - at)} after its time; {_rule(policy)}")
    chosen = came[-limit:]
    if policy.latest is not None and waiting is None:
        for at in [at for at in chosen if now - at > policy.latest]:
            chosen.remove(at)
            grace = _late(policy.latest)
            told.miss(at, f"found {_late(now - at)} after its time; its grace is {grace}")
    if more:
        last = _moment(came[1])
        told.miss(came[0], f"this and all others before {last}: no scheduler ran")
    return chosen


def _rule(policy: TickPolicy) -> str:
    if policy.missed is Missed.ALL:
        return f"only the latest {policy.missed_limit} run (missed_limit)"
    return f"only the latest runs (missed={policy.missed})"


def _outside(definition: Definition, times: Times, at: int) -> str | None:
    if not definition.windows:
        return None
    shows = times.local(at)
    minute = shows.hour * 60 + shows.minute
    wrong = next((each for each in definition.windows if not each.holds(minute)), None)
    return None if wrong is None else f"it runs only {wrong}"


def _look_again(waited: int) -> int:
    return min(max(LOOK_FIRST * SECOND, waited // 20), LOOK_LONGEST * SECOND)


def _late(span: int) -> str:
    seconds = span // SECOND
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _moment(at: int) -> str:
    shown_at = as_datetime(at)
    assert shown_at is not None
    return f"{shown_at:%Y-%m-%d %H:%M:%S} UTC"


def _clock(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02}"
