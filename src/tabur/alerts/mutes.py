"""Mutes: alerts that nobody is to be told of, for a while or again and again: pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tabur.errors import ConfigError
from tabur.model.text import shown

EVERY_RULE = "all"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Mute(msgspec.Struct, frozen=True):
    """Asked for by somebody. Moments in microseconds; `until` None: until it is ended."""

    rule: str
    queue: str | None
    since: int
    until: int | None
    reason: str = ""

    def holds(self, now: int) -> bool:
        return self.until is None or now < self.until

    def covers(self, rule: str, queue: str | None) -> bool:
        return self.rule in (EVERY_RULE, rule) and self.queue in (None, queue)


class Window(msgspec.Struct, frozen=True):
    """Declared: on these days of the week, from one time of the day to another, which may lie on
    the day after. By the clock on the wall of `timezone`."""

    start: time
    end: time
    days: tuple[int, ...]
    timezone: str
    rule: str = EVERY_RULE
    queue: str | None = None

    def holds(self, now: int) -> bool:
        local = datetime.fromtimestamp(now / 1_000_000, ZoneInfo(self.timezone))
        at, today = local.time(), local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= at < self.end
        if at >= self.start:
            return today in self.days
        return at < self.end and (today - 1) % 7 in self.days

    def covers(self, rule: str, queue: str | None) -> bool:
        return self.rule in (EVERY_RULE, rule) and self.queue in (None, queue)


def is_muted(mutes: Iterable[Mute | Window], rule: str, queue: str | None, now: int) -> bool:
    return any(each.covers(rule, queue) and each.holds(now) for each in mutes)


def make_window(
    start: Any, end: Any, *, days: Any, timezone: str, rule: str, queue: str | None
) -> Window:
    """Raises ConfigError."""
    given = [day.strip() for day in days.split(",")] if isinstance(days, str) else list(days)
    if not given or not set(given) <= set(DAYS):
        raise ConfigError(f"days={shown(days)}: write days of the week, such as 'sat,sun'.")
    try:
        ZoneInfo(timezone)
    except (TypeError, ValueError, OSError, KeyError):
        raise ConfigError(
            f"timezone={shown(timezone)} is not known; write one such as Asia/Baghdad."
        ) from None
    begins, ends = _time(start), _time(end)
    if begins == ends:
        raise ConfigError(f"A window from {begins} to {ends} is empty; end it at another time.")
    return Window(begins, ends, tuple(DAYS.index(day) for day in given), timezone, rule, queue)


def _time(given: Any) -> time:
    if isinstance(given, time):
        return given.replace(tzinfo=None)
    try:
        return time.fromisoformat(given).replace(tzinfo=None)
    except (TypeError, ValueError):
        raise ConfigError(f"{shown(given)} is no time of the day, such as '02:30'.") from None
