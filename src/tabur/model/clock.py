"""Time as Tabur keeps it: whole microseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import time_ns

SECOND = 1_000_000


def now_us() -> int:
    return time_ns() // 1_000


def apart(theirs: int) -> int:
    """By how many microseconds a store's clock, which shows `theirs` just now, is ahead of this
    host's. Less than a second counts as nothing: to be told of it takes its time."""
    ahead = theirs - now_us()
    return ahead if abs(ahead) >= SECOND else 0


def to_us(span: timedelta | float) -> int:
    """A span in seconds or as a timedelta, in microseconds."""
    if isinstance(span, timedelta):
        return span // timedelta(microseconds=1)
    return int(span * SECOND)


def moment_us(moment: datetime) -> int:
    """An aware datetime in microseconds. A naive one is refused: whose midnight would it be?"""
    if moment.tzinfo is None:
        raise ValueError(
            f"{moment.isoformat()} has no time zone; write "
            "datetime(..., tzinfo=ZoneInfo('Asia/Baghdad')), or UTC."
        )
    return (moment - _EPOCH) // timedelta(microseconds=1)


def as_datetime(us: int | None) -> datetime | None:
    return None if us is None else _EPOCH + timedelta(microseconds=us)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
