"""The clock of a store on another machine, without asking it each time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

#: Seconds for which an answer is carried on by this machine's monotonic clock.
ASK_EVERY = 10
#: Times that an answer may take, of the quickest so far, before it is asked again: a connection was
#: made first, and half-way is anywhere.
SLOW = 2


class StoreClock:
    """Microseconds. `ask` reads the store's clock; between two readings time goes on as this
    machine's monotonic clock does (nanoseconds of `own`), which nobody sets."""

    def __init__(self, ask: Callable[[], int], own: Callable[[], int] = monotonic_ns) -> None:
        self._ask = ask
        self._own = own
        self._ahead = 0
        self._asked: int | None = None
        self._quickest: int | None = None

    def __call__(self) -> int:
        now = self._own()
        if self._asked is None or now - self._asked > ASK_EVERY * 1_000_000_000:
            took = self._read()
            if self._quickest is None or took > SLOW * self._quickest:
                took = self._read()
            self._quickest = min(took, self._quickest or took)
            now = self._own()
        return (now + self._ahead) // 1_000

    def _read(self) -> int:
        """Answers how long it took (nanoseconds)."""
        before = self._own()
        told = self._ask()
        after = self._own()
        # Half-way: an answer that took long would otherwise make the clock late by as much.
        self._ahead = told * 1_000 - (before + after) // 2
        self._asked = after
        return after - before
