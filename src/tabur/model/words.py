"""A timing in words, English and Arabic: `every 5 minutes`, `كل 5 دقائق`.

What is said is found from what the expression means, not from how it is written, so that none is
left without words: `0,30 * * * *` reads as `*/30 * * * *` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tabur.errors import ConfigError
from tabur.model.languages import ARABIC, ENGLISH, Language
from tabur.model.text import shown
from tabur.model.timing import Timing, parse_fields

LANGUAGES: dict[str, Language] = {"en": ENGLISH, "ar": ARABIC}
#: Times of a day that are told one by one; more are told by their fields.
_TOLD = 6
_LAST, _LAST_WEEKDAY = -1000, -1001  # as cronsim has them


def in_words(timing: Timing, language: str = "en") -> str:
    """`at 02:00 on Monday to Friday (Asia/Baghdad)`; UTC is not told. Raises ConfigError for a
    timing or a language that is not known."""
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ConfigError(f"language={shown(language)} is not known; there are: {known}.")
    said = LANGUAGES[language]
    parts = [_time(timing, said), _days(timing.cron, said), _months(timing.cron, said)]
    zone = "" if timing.timezone == "UTC" else f" ({timing.timezone})"
    return " ".join(part for part in parts if part) + zone


# the time


def _time(timing: Timing, said: Language) -> str:
    fields = parse_fields(timing.cron)
    minutes, hours = sorted(fields.minutes), sorted(fields.hours)
    if timing.every is not None:
        often = said.every(timing.every, said.second)
        if len(minutes) == 60:
            return _within(often, hours, said)
        return f"{often} {_minutes(minutes, hours, said)}"
    if len(minutes) * len(hours) <= _TOLD:
        times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
        daily = "" if _names_a_day(timing.cron) else f"{said.every(1, said.day)} "
        return daily + said.at.format(said.listed(times))
    return _often(minutes, hours, said) or _minutes(minutes, hours, said)


def _often(minutes: Sequence[int], hours: Sequence[int], said: Language) -> str | None:
    """What comes evenly."""
    if step := _step(minutes, 60):
        return _within(said.every(step, said.minute), hours, said)
    if minutes != [0]:
        return None
    if step := _step(hours, 24):
        return said.every(step, said.hour)
    return _within(said.every(1, said.hour), hours, said)


def _minutes(minutes: Sequence[int], hours: Sequence[int], said: Language) -> str:
    named = said.told(said.at_minutes, len(minutes)).format(_ranges(minutes, said))
    step = _step(hours, 24)
    if step:
        return f"{named} {said.of_every(step)}"
    return f"{named} {said.told(said.of_hours, len(hours)).format(_ranges(hours, said))}"


def _within(often: str, hours: Sequence[int], said: Language) -> str:
    """How often, and in which hours where not in all."""
    if len(hours) == 24:
        return often
    spans = [said.between.format(f"{first:02}:00", f"{last:02}:59") for first, last in _runs(hours)]
    return f"{often} {said.listed(spans)}"


# days and months


class _Days(NamedTuple):
    of_month: str
    of_week: str


def _days(cron: str, said: Language) -> str:
    fields = parse_fields(cron)
    told = _Days(_days_of_month(fields.days, said), _days_of_week(fields.weekdays, said))
    if told.of_month and told.of_week:
        if fields.day_and:
            return f"{told.of_month} {said.only_if.format(told.of_week)}"
        return said.either.format(told.of_month, told.of_week)
    return told.of_month or told.of_week


def _names_a_day(cron: str) -> bool:
    return bool(_days(cron, ENGLISH))


def _days_of_month(days: Iterable[int], said: Language) -> str:
    plain = sorted(day for day in days if day > 0)
    if len(plain) == 31:
        return ""
    told = []
    if plain:
        told.append(said.told(said.on_days, len(plain)).format(_ranges(plain, said)))
    if _LAST in days:
        told.append(said.last_day)
    if _LAST_WEEKDAY in days:
        told.append(said.last_weekday)
    return said.listed(told)


def _days_of_week(days: Iterable[int | tuple[int, int]], said: Language) -> str:
    plain = sorted({day % 7 for day in days if isinstance(day, int)})
    if len(plain) == 7:
        return ""
    names = said.weekdays
    told = []
    if len(plain) > 2 and len(_runs(plain)) == 1:
        told.append(said.on_days_from.format(names[plain[0]], names[plain[-1]]))
    elif plain:
        listed = said.listed([names[day] for day in plain])
        told.append(said.told(said.on, len(plain)).format(listed))
    for day, which in sorted(each for each in days if isinstance(each, tuple)):
        told.append(said.nth(day % 7, max(which, 0)))  # cronsim's `last` is negative
    return said.listed(told)


def _months(cron: str, said: Language) -> str:
    months = sorted(parse_fields(cron).months)
    if len(months) == 12:
        return ""
    names = said.listed([said.months[month - 1] for month in months])
    return said.told(said.in_months, len(months)).format(names)


# numbers


def _step(values: Sequence[int], size: int) -> int | None:
    """n where they are every n-th from 0, and fill the whole evenly."""
    if len(values) < 2 or values[0] != 0:
        return 1 if len(values) == size else None
    step = values[1]
    return step if size % step == 0 and list(values) == list(range(0, size, step)) else None


def _runs(values: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs


def _ranges(values: Sequence[int], said: Language) -> str:
    """`1, 5–9 and 30`."""
    parts: list[str] = []
    for first, last in _runs(values):
        if last - first > 1:
            parts.append(f"{first}–{last}")
        else:
            parts += [str(value) for value in range(first, last + 1)]
    return said.listed(parts)
