"""How often, with Laravel's names: `.daily_at("02:00")`, `.every_five_minutes()`, `.weekdays()` …

All of it ends in the five fields of a cron expression (or an interval below a minute) that a person
finds again in `schedule:list`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict, Unpack

from tabur.errors import ConfigError
from tabur.model.text import shown
from tabur.model.ticks import parse_clock

if TYPE_CHECKING:
    from tabur.scheduler.entry import Entry

MINUTE, HOUR, DAY, MONTH, WEEKDAY = range(5)
SUNDAY, MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY = range(7)


class EntryKeywords(TypedDict, total=False):
    """What may be said in one go: `cron("*/5 * * * *", timezone=…, without_overlapping=True)`."""

    name: str
    description: str
    timezone: str
    missed: str
    missed_limit: int
    overlap: str
    grace: timedelta | float
    without_overlapping: bool
    on_one_server: bool
    run_in_background: bool
    environments: str | Iterable[str]
    queue: str
    timeout: timedelta | float


class Frequencies(ABC):
    """What an entry can be told, and `jobs.schedule`, which begins one by it."""

    @abstractmethod
    def _entry(self) -> Entry:
        """The entry that is told of it."""

    def _at(self, **fields: object) -> Entry:
        places = {"minute": MINUTE, "hour": HOUR, "day": DAY, "month": MONTH, "weekday": WEEKDAY}
        return self._entry().fields({places[name]: str(value) for name, value in fields.items()})

    def cron(self, expression: str, **given: Unpack[EntryKeywords]) -> Entry:
        """Five fields, `@daily` and its like, or `every 30 seconds`. Raises ConfigError."""
        return self._entry().expression(expression).set(**given)

    def timezone(self, name: str) -> Entry:
        """Whose clock counts, such as "Asia/Baghdad". Raises ConfigError."""
        return self._entry().zone(name)

    # below a minute

    def every_second(self) -> Entry:
        return self.every_seconds(1)

    def every_two_seconds(self) -> Entry:
        return self.every_seconds(2)

    def every_five_seconds(self) -> Entry:
        return self.every_seconds(5)

    def every_ten_seconds(self) -> Entry:
        return self.every_seconds(10)

    def every_fifteen_seconds(self) -> Entry:
        return self.every_seconds(15)

    def every_twenty_seconds(self) -> Entry:
        return self.every_seconds(20)

    def every_thirty_seconds(self) -> Entry:
        return self.every_seconds(30)

    def every_seconds(self, seconds: int) -> Entry:
        """`seconds` must fill a minute evenly."""
        return self._entry().interval(seconds)

    # minutes

    def every_minute(self) -> Entry:
        return self._at(minute="*")

    def every_two_minutes(self) -> Entry:
        return self._at(minute="*/2")

    def every_three_minutes(self) -> Entry:
        return self._at(minute="*/3")

    def every_four_minutes(self) -> Entry:
        return self._at(minute="*/4")

    def every_five_minutes(self) -> Entry:
        return self._at(minute="*/5")

    def every_ten_minutes(self) -> Entry:
        return self._at(minute="*/10")

    def every_fifteen_minutes(self) -> Entry:
        return self._at(minute="*/15")

    def every_thirty_minutes(self) -> Entry:
        return self._at(minute="*/30")

    # hours

    def hourly(self) -> Entry:
        return self._at(minute=0)

    def hourly_at(self, minute: int | Iterable[int]) -> Entry:
        """At one minute past each hour, or at several."""
        return self._at(minute=_numbers(minute))

    def every_odd_hour(self, minute: int | Iterable[int] = 0) -> Entry:
        return self._at(minute=_numbers(minute), hour="1-23/2")

    def every_two_hours(self, minute: int | Iterable[int] = 0) -> Entry:
        return self._at(minute=_numbers(minute), hour="*/2")

    def every_three_hours(self, minute: int | Iterable[int] = 0) -> Entry:
        return self._at(minute=_numbers(minute), hour="*/3")

    def every_four_hours(self, minute: int | Iterable[int] = 0) -> Entry:
        return self._at(minute=_numbers(minute), hour="*/4")

    def every_six_hours(self, minute: int | Iterable[int] = 0) -> Entry:
        return self._at(minute=_numbers(minute), hour="*/6")

    # days

    def daily(self) -> Entry:
        """At midnight."""
        return self._at(minute=0, hour=0)

    def daily_at(self, time: str) -> Entry:
        """`time` such as "2:00"."""
        hour, minute = divmod(parse_clock(time), 60)
        return self._at(minute=minute, hour=hour)

    def at(self, time: str) -> Entry:
        return self.daily_at(time)

    def twice_daily(self, first: int = 1, second: int = 13) -> Entry:
        return self.twice_daily_at(first, second, 0)

    def twice_daily_at(self, first: int = 1, second: int = 13, minute: int = 0) -> Entry:
        return self._at(minute=minute, hour=f"{first},{second}")

    # weeks

    def weekly(self) -> Entry:
        """On Sunday at midnight."""
        return self._at(minute=0, hour=0, weekday=SUNDAY)

    def weekly_on(self, days: int | Iterable[int], time: str = "0:00") -> Entry:
        """`days`: 0 is Sunday."""
        return self.daily_at(time).days(days)

    def days(self, days: int | Iterable[int]) -> Entry:
        """Only on these days of the week; 0 is Sunday."""
        return self._at(weekday=_numbers(days))

    def weekdays(self) -> Entry:
        """Only from Monday to Friday. Where the week is another, `.days([0, 1, 2, 3, 4])`."""
        return self._at(weekday="1-5")

    def weekends(self) -> Entry:
        return self._at(weekday="6,0")

    def sundays(self) -> Entry:
        return self.days(SUNDAY)

    def mondays(self) -> Entry:
        return self.days(MONDAY)

    def tuesdays(self) -> Entry:
        return self.days(TUESDAY)

    def wednesdays(self) -> Entry:
        return self.days(WEDNESDAY)

    def thursdays(self) -> Entry:
        return self.days(THURSDAY)

    def fridays(self) -> Entry:
        return self.days(FRIDAY)

    def saturdays(self) -> Entry:
        return self.days(SATURDAY)

    # months and years

    def monthly(self) -> Entry:
        """On the first, at midnight."""
        return self.monthly_on()

    def monthly_on(self, day: int = 1, time: str = "0:00") -> Entry:
        return self.daily_at(time)._at(day=day)

    def twice_monthly(self, first: int = 1, second: int = 16, time: str = "0:00") -> Entry:
        return self.daily_at(time)._at(day=f"{first},{second}")

    def last_day_of_month(self, time: str = "0:00") -> Entry:
        return self.daily_at(time)._at(day="L")

    def quarterly(self) -> Entry:
        return self.quarterly_on()

    def quarterly_on(self, day: int = 1, time: str = "0:00") -> Entry:
        return self.daily_at(time)._at(day=day, month="1,4,7,10")

    def yearly(self) -> Entry:
        return self.yearly_on()

    def yearly_on(self, month: int = 1, day: int = 1, time: str = "0:00") -> Entry:
        return self.daily_at(time)._at(day=day, month=month)


def _numbers(given: int | Iterable[int]) -> str:
    values = [given] if isinstance(given, int) else list(given)
    if not values or any(isinstance(each, bool) or not isinstance(each, int) for each in values):
        raise ConfigError(f"{shown(given)}: a number or a list of numbers is needed.")
    return ",".join(map(str, values))
