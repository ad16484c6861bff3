"""When Debian's cron starts a job, minute by minute, as the main loop of its cron.c has it: an
oracle that shares no code with what it judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
#: Minutes: what cron takes for having woken late, and for summer time.
_LATE, _SUMMER_TIME = 5, 180
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock's


@dataclass(frozen=True)
class Line:
    """A line of a crontab: five fields of numbers, `*`, lists, ranges and steps."""

    expression: str

    def parsed(self) -> Parsed:
        fields = self.expression.split()
        sets = [_numbers(field, *_RANGES[n]) for n, field in enumerate(fields)]
        sets[4] |= {0} if 7 in sets[4] else set()
        minutes, hours, days, months, weekdays = sets
        return Parsed(
            minutes,
            hours,
            days,
            months,
            weekdays,
            is_wild=fields[0].startswith("*") or fields[1].startswith("*"),
            both_days=fields[2].startswith("*") or fields[4].startswith("*"),
        )


@dataclass(frozen=True)
class Parsed:
    minutes: set[int]
    hours: set[int]
    days: set[int]
    months: set[int]
    weekdays: set[int]
    is_wild: bool
    both_days: bool

    def matches(self, wall: int) -> bool:
        """`wall`: minutes of the wall clock."""
        minute, hour = wall % 60, wall // 60 % 24
        if minute not in self.minutes or hour not in self.hours:
            return False
        day = _EPOCH + timedelta(days=wall // 1440)
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month and of_week if self.both_days else of_month or of_week


def runs(lines: Sequence[str], zone: str, first: int, last: int) -> list[list[int]]:
    """For each line the moments (seconds) from `first` to `last` at which cron starts it; more than
    one start in a minute is one."""
    parsed = [Line(line).parsed() for line in lines]
    found: list[list[int]] = [[] for _ in lines]
    for minute, wild, fixed in _wakes(zone, first // 60, last // 60):
        for n, line in enumerate(parsed):
            walls = wild if line.is_wild else fixed
            if any(line.matches(wall) for wall in walls):
                found[n].append(minute * 60)
    return found


def _wakes(zone: str, first: int, last: int) -> Iterator[tuple[int, Sequence[int], Sequence[int]]]:
    """Each minute, with the wall clock's minutes for which cron looks for jobs with a star, and for
    those without."""
    offsets = ZoneInfo(zone)
    virtual = first - 1 + _offset(offsets, first - 1)
    for minute in range(first, last + 1):
        running = minute + _offset(offsets, minute)
        difference = running - virtual
        if difference == 1:
            virtual = running
            yield minute, (running,), (running,)
        elif -_SUMMER_TIME < difference <= 0:
            yield minute, (running,), ()
        elif 0 < difference <= _LATE:
            walls = range(virtual + 1, running + 1)
            virtual = running
            yield minute, walls, walls
        elif 0 < difference <= _SUMMER_TIME:
            walls = range(virtual + 1, running + 1)
            virtual = running
            yield minute, (running,), walls
        else:
            virtual = running
            yield minute, (running,), (running,)


def _offset(zone: ZoneInfo, minute: int) -> int:
    """In minutes. No zone is set between two whole minutes since 1972."""
    offset = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(minutes=1)


def _numbers(field: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            numbers = range(least, most + 1)
        elif dash:
            numbers = range(int(first), int(last) + 1)
        else:
            numbers = range(int(first), int(first) + 1)
        found |= set(numbers[:: int(step or 1)])
    return found
