"""What middleware is told when it is made, checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tabur.errors import ConfigError
from tabur.jobs.context import JobContext
from tabur.jobs.spans import LONGEST_SPAN, Span
from tabur.model.clock import to_us
from tabur.model.text import shown

Key = Callable[[JobContext], object] | str
"""What is told apart: a text, or a function of the job (`lambda job: job.args.shop`)."""


def span(value: Span, what: str) -> int:
    """Microseconds. Raises ConfigError."""
    seconds: Any = value.total_seconds() if isinstance(value, timedelta) else value
    longest = LONGEST_SPAN.total_seconds()
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0.001 <= seconds <= longest
    ):
        raise ConfigError(
            f"{what}={shown(value)}: seconds or a timedelta above 0 is needed, "
            f"{LONGEST_SPAN.days} days at most."
        )
    return to_us(seconds)


def count(value: Any, what: str, *, most: int) -> int:
    """Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(f"{what}={shown(value)}: a whole number from 1 to {most:,} is needed.")
    return int(value)


def errors(kinds: Any, what: str) -> tuple[type[Exception], ...]:
    """Raises ConfigError."""
    found: tuple[type[Exception], ...] = tuple(kinds)
    if not found or not all(_is_error(kind) for kind in kinds):
        raise ConfigError(f"{what}: {shown(kinds)}: exception classes are needed.")
    return found


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


def key_of(job: JobContext, by: Key | None, name: str | None) -> tuple[str, str]:
    """Among whom something is shared: the jobs of one name, or all that give the same `name`; and
    which of theirs."""
    value = by(job) if callable(by) else by
    return name or f"job {job.name}", "" if value is None else str(value)
