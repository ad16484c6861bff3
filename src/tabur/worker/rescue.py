"""Finding workers that are lost: their hosts are gone, so nobody else can tell."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import monotonic

from tabur.drivers.contract import Driver

#: Seconds of the observer's own clock without a beat, and its own beats in that time.
LOST_AFTER = 30.0
OWN_BEATS = 3


class Observations:
    """One observer's view of the others. No two clocks are compared: a beat is a counter, and
    what counts is that it stood still while this observer was well itself."""

    def __init__(self, driver: Driver, *, clock: Callable[[], float] = monotonic) -> None:
        """`clock`: seconds, of this observer alone."""
        self._driver = driver
        self._clock = clock
        self._seen: dict[str, tuple[int, float, int]] = {}

    def lost(self, *, except_for: Collection[str]) -> list[str]:
        """Look once, after an own beat; answers whose counter has stood still for long enough."""
        now = self._clock()
        seen: dict[str, tuple[int, float, int]] = {}
        lost: list[str] = []
        for worker in self._driver.workers.list():
            if worker.id in except_for:
                continue
            beats, since, looks = self._seen.get(worker.id, (-1, now, 0))
            if beats != worker.beats:
                beats, since, looks = worker.beats, now, 0
            seen[worker.id] = (beats, since, looks + 1)
            if now - since >= LOST_AFTER and looks >= OWN_BEATS:
                lost.append(worker.id)
        self._seen = seen
        return lost

    def blind(self) -> None:
        """The store could not be seen: what has stood still meanwhile proves nothing."""
        self._seen.clear()
