"""Values and options that nobody would think of."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

from tabur import Tabur

MIB = 1024 * 1024


class Colour(Enum):
    RED = "red"


TEXTS = (
    "",
    "a\0b",
    "\0",
    "\ud800",
    "x\udfffy",
    "\u202eright to left\u202c",
    "طابور المنتجات",
    "🛒" * 50,
    "' OR 1=1; --",
    "{{ 7*7 }}",
    "<script>alert(1)</script>",
    "%s %d {}",
    "\\u0000",
    "\ufeff",
    "\r\n\t",
    "e\u0301",
    "NaN",
    "null",
    "x" * 3000,
)
NUMBERS = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, -(2**63) - 1, 2**64, 10**30)
REALS = (0.0, -0.0, 0.1, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"))


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


LEAVES: tuple[Callable[[Random], Any], ...] = (
    lambda rng: rng.choice(TEXTS),
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice(REALS),
    lambda rng: rng.choice((None, True, False)),
    lambda rng: rng.randbytes(rng.randrange(40)),
    lambda rng: rng.choice((Decimal("NaN"), Decimal("Infinity"), Decimal("1E+400"), Decimal(0))),
    lambda rng: uuid.UUID(bytes=rng.randbytes(16)),
    lambda rng: datetime(rng.randrange(1, 9999), 1, 1, tzinfo=rng.choice((None, UTC))),
    lambda rng: datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=rng.randrange(80_000)))),
    lambda rng: date.min + timedelta(days=rng.randrange(3_000_000)),
    lambda rng: rng.choice((timedelta.min, timedelta.max, timedelta(microseconds=1))),
    lambda rng: Path(rng.choice(("", "/", "..", "a\0b", "x" * 500))),
    lambda rng: rng.choice(
        (Colour.RED, Colour, object(), print, lambda: 1, 1j, ..., NotImplemented)
    ),
    lambda rng: rng.choice(
        (bytearray(b"x"), memoryview(b"x"), range(3), iter([1]), re.compile("x"))
    ),
    lambda rng: rng.choice((ValueError("x"), Tabur, uuid, frozenset({1}), {1, 2}, Random(1))),
)


def odd_value(rng: Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 4 and kind < 0.15:
        return [odd_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 4 and kind < 0.30:
        keys: list[Any] = [
            rng.choice([*TEXTS[:8], *NUMBERS[:3], None, 1.5, (1, 2), b"k", float("nan")])
        ]
        return {key: odd_value(rng, depth + 1) for key in keys}
    if depth < 4 and kind < 0.35:
        return tuple(odd_value(rng, depth + 1) for _ in range(2))
    return rng.choice(LEAVES)(rng)


#: The repr of the second is an error itself.
HUGE = (10**400, 10**5000)
NAN, INF = float("nan"), float("inf")
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001  # to be refused
OPTIONS: dict[str, tuple[Any, ...]] = {
    "delay": (-1, NAN, INF, 1e300, *HUGE, "5", True, b"", [], timedelta(-1), timedelta.max),
    "at": ("now", 5, NAIVE, date(2026, 1, 1), True, 1e9, *HUGE),
    "priority": (10**30, -(10**30), 1.5, "high", True, NAN, [], *HUGE),
    "tries": (10**30, -1, 1.5, "3", True, NAN, [3], *HUGE),
    "backoff": (
        *([], "", "30", [-1], [[1]], NAN, INF, {}, {1: 2}, object(), True, b"x", -0.1),
        *(*HUGE, [*HUGE], [30, None], "x" * 5000),
    ),
    "timeout": (0, -1, NAN, INF, "60", True, *HUGE, [], 1e300),
    "retry_until": (-1, NAN, "tomorrow", NAIVE, timedelta(-1), *HUGE, True, []),
    "expires": (-1, NAN, "tomorrow", NAIVE, timedelta.max, *HUGE, True, []),
    "queue": (
        *("", "a\0b", "q" * 5000, "a,b", "\ud800", "a\nb", 5, b"q", True, [], "\u202e", "\x7f"),
        *HUGE,
    ),
    "tenant": ("", "a\0b", "t" * 5000, 7, b"t", "\ud800", [], True, *HUGE),
    "user": ("", "a\0b", "u" * 5000, 7, b"u", "\ud800"),
    "locale": ("", "a\0b", "l" * 5000, 7, "\ud800"),
    "idempotency_key": ("", "a\0b", "k" * 5000, 7, b"k", "\ud800"),
    "after_commit": (True,),
    "session": ("session", 5, object()),
    "quue": ("high",),
    "dealy": (5,),
}
DECLARED: dict[str, tuple[Any, ...]] = {
    **{
        name: OPTIONS[name] for name in ("priority", "tries", "backoff", "timeout", "queue", "quue")
    },
    "name": ("", "a\0b", "n" * 5000, 7, "\ud800", True),
    "max_exceptions": (0, -1, 1.5, "3", True, HUGE[1]),
    "retry_until": (-1, NAN, "tomorrow", HUGE[1], timedelta(-1)),
    "expires": (-1, NAN, "tomorrow", HUGE[1], timedelta.max),
    "isolation": ("spaceship", "", 5, True, "loop"),
    "never_retry": (5, "ValueError", (ValueError("x"),), [int]),
    "aliases": (5, ("",), ("a\0",), (7,), "abc\0"),
}
