"""Spans of time, as options take them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tabur.errors import ConfigError
from tabur.model.clock import to_us
from tabur.model.text import shown

Span = timedelta | float

LONGEST_SPAN = timedelta(days=3650)


def span_us(value: Any, what: str) -> int:
    """Microseconds. Raises ConfigError naming `what`."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= LONGEST_SPAN.total_seconds()
    ):
        raise ConfigError(
            f"{what}={shown(value)}: seconds or a timedelta from 0 to {LONGEST_SPAN.days} days is "
            "needed."
        )
    return to_us(seconds)
