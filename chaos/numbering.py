"""What a job's number says about it, so that the count knows it too."""

from __future__ import annotations

#: Numbers that one dispatcher may use.
STRETCH = 10_000_000


def raises_first(number: int) -> bool:
    """One in fifty raises on its first attempt, and runs again."""
    return number % 50 == 0


def is_heavy(number: int) -> bool:
    """One in ten is a `def`: it runs in a thread."""
    return number % 10 == 0


def is_booked(number: int) -> bool:
    """Three in ten write a row of their own through `ctx.transaction()`, where the store is SQL."""
    return number % 10 in (3, 6, 9)


def attempts(number: int) -> int:
    """How many it takes, for its own reasons."""
    return 2 if raises_first(number) else 1
