"""Kinds of values that options take: seconds, lists of them, counts."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click

from tabur.errors import ConfigError
from tabur.model.retry import Backoff, parse_backoff

_LONGEST = 10 * 365 * 86_400.0


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


SECONDS, WAITS, COUNT = _Seconds(), _Waits(), click.IntRange(0, 10**9)
