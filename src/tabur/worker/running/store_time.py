"""The store's clock on this host, whose own may be wrong."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tabur.model.clock import SECOND, now_us
from tabur.model.outcome import Outcome


def by_store(outcome: Outcome, ahead: int) -> Outcome:
    """An outcome whose moments are of this host's clock, by the store's, which is ahead by so many
    microseconds: history, and how long it is kept, go by one clock."""
    if not ahead:
        return outcome
    began = None if outcome.started_at is None else outcome.started_at + ahead
    return replace(outcome, started_at=began, ended_at=outcome.ended_at + ahead)


class StoreTime:
    """The store's clock as its last answer told it, carried on by our own monotonic one. This
    host's own time is never compared with it.

    It may be ahead by as long as that answer took, and is never behind: a job waits no shorter
    than it was told to.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = now_us() - self._us(clock())

    def __call__(self) -> int:
        return self._us(self._clock()) + self._ahead

    def told(self, now: int, asked: float) -> None:
        """`asked`: when, by the monotonic clock, the question was sent."""
        self._ahead = now - self._us(asked)

    def _us(self, moment: float) -> int:
        return int(moment * SECOND)
