"""Retry policies: how often, how long between, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from tabur.errors import ConfigError
from tabur.model.clock import SECOND
from tabur.model.text import shown

_LONGEST = 10 * 365 * 86_400  # seconds; a longer delay is a slip of units


class Exponential(msgspec.Struct, frozen=True, tag="exponential"):
    """Delays of base, 2·base, 4·base … seconds up to `cap`; with `jitter` uniformly between 0
    and that ("full jitter": a crowd of failed jobs does not come back as a crowd)."""

    base: float
    cap: float
    jitter: bool = True

    def seconds(self, attempt: int, random: float) -> float:
        longest = min(self.cap, self.base * 2.0 ** min(attempt - 1, 60))
        return longest * random if self.jitter else longest


def exponential(base: float, *, cap: float = 3600, jitter: bool = True) -> Exponential:
    """`base` seconds, doubled after each attempt, never above `cap` seconds."""
    _check_seconds(base, "backoff base")
    _check_seconds(cap, "backoff cap")
    return Exponential(float(base), float(cap), jitter)


Backoff = Annotated[
    float | tuple[float, ...] | Exponential, "seconds; the last of a list goes on for ever"
]


def parse_backoff(value: float | Sequence[float] | Exponential) -> Backoff:
    """Check a backoff as a user writes it. Raises ConfigError."""
    if isinstance(value, Exponential):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _check_seconds(value, "backoff")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and value:
        return tuple(_check_seconds(each, "backoff") for each in value)
    raise ConfigError(
        f"backoff={shown(value)} is not understood; write seconds (30), a list ([30, 60, 120]) "
        "or exponential(30, cap=3600)."
    )


def backoff_us(backoff: Backoff, attempt: int, random: float) -> int:
    """Microseconds to wait after attempt number `attempt` (from 1); `random` is in [0, 1)."""
    if isinstance(backoff, Exponential):
        seconds = backoff.seconds(attempt, random)
    elif isinstance(backoff, tuple):
        seconds = backoff[min(attempt, len(backoff)) - 1] if backoff else 0.0
    else:
        seconds = backoff
    # Bounded once more: what stands in a store may have been written by somebody else.
    return int(max(0.0, min(seconds, _LONGEST)) * SECOND)


class Policy(msgspec.Struct, frozen=True):
    """The rules one attempt is judged by. Moments are microseconds since the epoch."""

    tries: int = 1
    """Attempts in all; 0: no limit."""
    backoff: Backoff = 0.0
    max_exceptions: int | None = None
    retry_until: int | None = None
    """While this lies ahead, `tries` does not count; after it, nothing is tried again."""
    fail_on_timeout: bool = False


def _check_seconds(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
        raise ConfigError(f"{what}={shown(value)}: seconds must be a number from 0 to {_LONGEST}.")
    return float(value)
