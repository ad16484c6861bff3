"""When a schedule is due: cron expressions in a time zone, and intervals below a minute.

At changes of the clock the rule is that of Debian's cron(8). An expression whose minute or hour
begins with a star follows the clock: it is due whenever the clock shows a matching time, in a
repeated hour twice, in a skipped one never. Any other one names times of a day: one that is shown
twice counts the first time, one that is skipped counts when the clock jumps, unless it jumps by
more than three hours: that is no summer time but a correction, and what it skips is not made up.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from copy import copy
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from tabur.errors import ConfigError
from tabur.model.clock import SECOND
from tabur.model.text import shown

#: Intervals below a minute, in seconds: they have to fill a minute evenly.
INTERVALS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
EVERY_MINUTE = "* * * * *"
#: A shift of the clock by more than this is no summer time (seconds).
LARGEST_SHIFT = 3 * 3600
#: Nothing is planned after this moment (seconds): the year 9000.
_LATEST = 221_845_392_000
_LONGEST = 200
_DAY = 86_400
#: Years in which there has to be a date that matches.
_YEARS = 50
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # wall clocks have no zone

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Timing(msgspec.Struct, frozen=True, omit_defaults=True):
    """`cron` in five fields; with `every`, each so many seconds of the minutes that it names."""

    cron: str = EVERY_MINUTE
    timezone: str = "UTC"
    every: int | None = None

    @property
    def expression(self) -> str:
        """For people: `0 2 * * *`, or `every 30 seconds`."""
        if self.every is None:
            return self.cron
        every = "every second" if self.every == 1 else f"every {self.every} seconds"
        return every if self.cron == EVERY_MINUTE else f"{every} {self.cron}"


def parse_timing(expression: str, timezone: str = "UTC") -> Timing:
    """Of what a person writes: `*/5 * * * *`, `@daily`, `every 30 seconds`. Raises ConfigError."""
    if not isinstance(expression, str):
        raise ConfigError(f"cron={shown(expression)}: a text is needed, such as '*/5 * * * *'.")
    words = expression.split()
    if words[:1] == ["every"] and len(words) > 1:
        count = words[1] if words[1] != "second" else "1"
        rest = words[2:] if words[1] == "second" else words[3:]
        unit_is_right = words[1] == "second" or words[2:3] in (["seconds"], ["second"])
        if not count.isdecimal() or not unit_is_right:
            raise ConfigError(
                f"cron={shown(expression)}: write 'every 30 seconds', or five fields."
            )
        timing = Timing(" ".join(rest) or EVERY_MINUTE, timezone, int(count))
    else:
        timing = Timing(MACROS.get(expression.strip().lower(), " ".join(words)), timezone)
    times_of(timing)
    return timing


@lru_cache(maxsize=4096)
def times_of(timing: Timing) -> Times:
    """Raises ConfigError for an expression, a zone or an interval that cannot be."""
    return Times(timing)


class Times:
    """The moments of one timing, in microseconds, UTC."""

    def __init__(self, timing: Timing) -> None:
        self._zone = find_zone(timing.timezone)
        self._every = _checked_interval(timing.every)
        self._fields = parse_fields(timing.cron)
        self._hours, self._minutes = sorted(self._fields.hours), sorted(self._fields.minutes)
        minute, hour = timing.cron.split()[:2]
        self._follows_the_clock = minute.startswith("*") or hour.startswith("*")
        self._always = timing.cron == EVERY_MINUTE

    def after(self, moment: int) -> int | None:
        """The first one later than `moment`; None: there is none any more."""
        second = moment // SECOND
        if second >= _LATEST:
            return None
        next_one = self._minute_after if self._every is None else self._second_after
        found = next_one(second)
        return None if found is None else found * SECOND

    def upcoming(self, after: int) -> Iterator[int]:
        """All later ones, in their order."""
        found = self.after(after)
        while found is not None:
            yield found
            found = self.after(found)

    def local(self, moment: int) -> datetime:
        """What the clock in its zone shows at a moment."""
        return datetime.fromtimestamp(moment // SECOND, self._zone)

    def _second_after(self, second: int) -> int | None:
        assert self._every is not None
        found = (second // self._every + 1) * self._every
        if self._always:
            return found
        minute = found // 60 * 60
        due = self._minute_after(minute - 1)
        return found if due == minute else due

    def _minute_after(self, second: int) -> int | None:
        if self._always:
            return (second // 60 + 1) * 60
        if self._zone is _UTC:
            return self._wall_after(second)
        return self._shown_after(second) if self._follows_the_clock else self._named_after(second)

    def _wall_after(self, wall: int) -> int | None:
        """The next matching time on a clock that is never set; seconds of that clock."""
        at = _EPOCH + timedelta(minutes=wall // 60 + 1)
        day, hour, minute = at.date(), at.hour, at.minute
        last = day.year + _YEARS
        while day.year <= last:
            if day.month not in self._fields.months:
                day, hour, minute = _first_of_next_month(day), 0, 0
                continue
            if self._fields.match_day(day):
                found = self._time_from(hour, minute)
                if found is not None:
                    return ((day - _EPOCH.date()).days * 1440 + found) * 60
            day, hour, minute = day + timedelta(days=1), 0, 0
        return None

    def _time_from(self, hour: int, minute: int) -> int | None:
        """The first matching time of a day that is not before hour:minute, in minutes."""
        if hour in self._fields.hours:
            place = bisect_left(self._minutes, minute)
            if place < len(self._minutes):
                return hour * 60 + self._minutes[place]
        place = bisect_right(self._hours, hour)
        return self._hours[place] * 60 + self._minutes[0] if place < len(self._hours) else None

    def _shown_after(self, second: int) -> int | None:
        """When the clock next shows a matching time: stretch by stretch between its changes."""
        since, offset = second, self._offset(second)  # which holds from then on
        while True:
            wall = self._wall_after(second + offset)
            if wall is None:
                return None
            found = wall - offset
            change = self._change(since, found)
            if change is None:
                return found
            since, second, offset = change, change - 1, self._offset(change)

    def _named_after(self, second: int) -> int | None:
        """When the next of the named times is, as cron(8) has it."""
        wall: int | None = second + self._offset(second)
        while wall is not None:
            wall = self._wall_after(wall)
            if wall is not None and (found := self._moment(wall)) is not None and found > second:
                return found
        return None

    def _moment(self, wall: int) -> int | None:
        """When a clock shows `wall` for the first time, or jumps over it; None: a correction has
        skipped it."""
        at = (_EPOCH + timedelta(seconds=wall)).replace(tzinfo=self._zone)
        first, second = _seconds(at.utcoffset()), _seconds(at.replace(fold=1).utcoffset())
        found = wall - first
        if second <= first:  # shown once, or twice
            return found
        if second - first > LARGEST_SHIFT:
            return None
        change = self._change(wall - second, found)
        return found if change is None else change

    def _offset(self, second: int) -> int:
        return _seconds(datetime.fromtimestamp(second, self._zone).utcoffset())

    def _change(self, first: int, last: int) -> int | None:
        """The first moment in (first, last] at which the clock is set. One that was set to and fro
        within a day is not seen: no zone has done so."""
        offset = self._offset(first)
        while first < last:
            end = min(first + _DAY, last)
            if self._offset(end) != offset:
                while end - first > 1:
                    middle = (first + end) // 2
                    if self._offset(middle) == offset:
                        first = middle
                    else:
                        end = middle
                return end
            first = end
        return None


def _first_of_next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def find_zone(name: str) -> ZoneInfo:
    """Raises ConfigError for what is no time zone."""
    if not isinstance(name, str):
        raise ConfigError(f"timezone={shown(name)}: a name is needed, such as 'Asia/Baghdad'.")
    try:
        zone = ZoneInfo(name)
    except Exception:  # not found, not a file, a path out of the data
        raise ConfigError(_unknown_zone(name)) from None
    return _UTC if name in ("UTC", "Etc/UTC") else zone


def _unknown_zone(name: str) -> str:
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    close = get_close_matches(name, available_timezones(), n=3)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"timezone={shown(name)} is not known; write one such as 'Asia/Baghdad'.{meant}"


def parse_fields(expression: str) -> CronSim:
    """The fields of an expression as sets, days of the week and of the month as cronsim keeps them.
    Raises ConfigError."""
    fields = expression.split()
    if len(expression) > _LONGEST or len(fields) != 5:
        hint = " (@reboot is not known: there is no boot here.)" if "@reboot" in expression else ""
        raise ConfigError(
            f"cron={shown(expression)}: five fields are needed (minute, hour, day of the month, "
            f"month, day of the week), such as '*/5 * * * *'; for less than a minute write "
            f"'every 30 seconds'.{hint}"
        )
    start = datetime(2000, 1, 1)  # noqa: DTZ001  # a wall clock's
    try:
        sim = CronSim(expression, start)
        next(copy(sim))
    except StopIteration:
        raise ConfigError(f"cron={shown(expression)}: there is no such date.") from None
    except CronSimError as error:
        raise ConfigError(_wrong_field(expression, str(error))) from None
    except Exception:  # odd combinations fail in its own code
        raise ConfigError(f"cron={shown(expression)} is not understood.") from None
    return sim


def _wrong_field(expression: str, error: str) -> str:
    names = ("minute", "hour", "day-of-month", "month", "day-of-week")
    allowed = ("0-59", "0-23", "1-31, L", "1-12", "0-7, SUN-SAT, FRI#2, 5L")
    name = error.removeprefix("Bad ")
    if name not in names:
        return f"cron={shown(expression)} is not understood: {error}."
    n = names.index(name)
    field = expression.split()[n]
    days = field.replace("-", ",").split(",")
    if n == 2 and all(day.isdecimal() and 1 <= int(day) <= 31 for day in days):
        return f"cron={shown(expression)}: there is no such date."
    return (
        f"cron={shown(expression)}: {name.replace('-', ' ')} {field!r} is not understood; "
        f"{allowed[n]}, lists, ranges and steps (*/5) are."
    )


def _checked_interval(every: int | None) -> int | None:
    if every is not None and every not in INTERVALS:
        known = ", ".join(map(str, INTERVALS))
        raise ConfigError(
            f"every {shown(every)} seconds does not fill a minute evenly; there are: {known}."
        )
    return every


def _seconds(span: timedelta | None) -> int:
    assert span is not None
    return span // timedelta(seconds=1)


_UTC = ZoneInfo("UTC")
