"""Finding workers that are lost: their hosts are gone, so nobody else can tell."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import monotonic
from typing import NamedTuple

from tabur.drivers.contract import Driver

#: Times that an observer must have looked again while another's beat stood still: what lies between
#: two answers of the store counts for no more than such a part of the time that a worker is given.
LOOKS = 3
#: Looks between two for claims of workers that nobody has registered.
LOOKS_FOR_STRANGERS = 6


class Lost(NamedTuple):
    worker: str
    beats: int
    """At which its counter stood still; -1: it is not registered at all."""


class Observations:
    """One observer's view of the others. No two clocks are compared: a beat is a counter, and
    what counts is that it stood still while this observer was well itself. Where the store stood
    still or was away, or the observer slept, the others may have done so too, and beat no earlier
    than it looks again."""

    def __init__(
        self,
        driver: Driver,
        *,
        lost_after: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`lost_after` in seconds of `clock`, which is this observer's own."""
        self._driver = driver
        self._lost_after = lost_after
        self._clock = clock
        self._answered: float | None = None
        self._unwell = 0.0  # seconds that prove nothing, since it looked first
        self._seen: dict[str, tuple[int, float]] = {}
        self._looks = 0
        self._strangers: Collection[str] = ()

    def lost(self, *, except_for: Collection[str]) -> list[Lost]:
        """Look once, after an own beat; answers whose counter has stood still for long enough."""
        asked = self._clock()
        counted = {worker.id: worker.beats for worker in self._driver.workers.list()}
        # Who waited for the answer knows when a counter stood there at the earliest, and at the
        # latest: a new one may be as young as the answer, an old one is as old as the question.
        answered = self._clock()
        if self._answered is not None:
            self._unwell += max(0.0, answered - self._answered - self._lost_after / LOOKS)
        self._answered = answered
        asked, answered = asked - self._unwell, answered - self._unwell
        if self._looks % LOOKS_FOR_STRANGERS == 0 or self._strangers:
            # Claims of a worker without a registration: it was found lost while it slept, went on,
            # and died; or who found it died before it had released.
            self._strangers = sorted(set(self._driver.claiming.holders()) - set(counted))
        self._looks += 1
        counted |= dict.fromkeys(self._strangers, -1)
        seen: dict[str, tuple[int, float]] = {}
        lost: list[Lost] = []
        for worker, beats in counted.items():
            if worker in except_for:
                continue
            before, since = self._seen.get(worker, (None, answered))
            if before != beats:
                since = answered
            seen[worker] = (beats, since)
            if asked - since >= self._lost_after:
                lost.append(Lost(worker, beats))
        self._seen = seen
        return lost
