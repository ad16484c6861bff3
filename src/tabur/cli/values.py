"""Kinds of values that options take: seconds, lists of them, spans with a unit, counts."""

from __future__ import annotations

import re
from datetime import timedelta
from math import isfinite
from typing import Any

import click

from tabur.errors import ConfigError
from tabur.model.retry import Backoff, parse_backoff

_LONGEST = 10 * 365 * 86_400.0
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class _Seconds(click.ParamType[float]):
    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not isfinite(seconds) or not 0 <= seconds <= _LONGEST:
            self.fail(f"{value!r} is no number of seconds, such as 30 or 0.5.", param, ctx)
        return seconds


class _Waits(click.ParamType[Backoff]):
    name = "seconds,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Backoff:
        try:
            waits = [float(part) for part in str(value).split(",")]
            return parse_backoff(waits if len(waits) > 1 else waits[0])
        except (ValueError, ConfigError):
            self.fail(f"{value!r} is not understood; write 30, or a list: 30,60,120.", param, ctx)


class _Span(click.ParamType[timedelta]):
    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd]?)", str(value))
        seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
        if not 0 < seconds <= _LONGEST:
            self.fail(
                f"{value!r} is not understood; write 90 (seconds), 30m, 2h or 1d.", param, ctx
            )
        return timedelta(seconds=seconds)


SECONDS, WAITS, COUNT = _Seconds(), _Waits(), click.IntRange(0, 10**9)
SPAN = _Span()
