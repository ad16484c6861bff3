"""The clock of a store on another machine, without asking it each time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

#: Seconds for which an answer is carried on by this machine's monotonic clock.
ASK_EVERY = 10


class StoreClock:
    """Microseconds. `ask` reads the store's clock; between two readings time goes on as this
    machine's monotonic clock does, which nobody sets."""

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask
        self._ahead = 0
        self._asked: int | None = None

    def __call__(self) -> int:
        before = monotonic_ns()
        if self._asked is None or before - self._asked > ASK_EVERY * 1_000_000_000:
            told = self._ask()
            after = monotonic_ns()
            # Half-way: an answer that took long would otherwise make the clock late by as much.
            self._ahead = told * 1_000 - (before + after) // 2
            self._asked = before = after
        return (before + self._ahead) // 1_000
