"""Where the next claim begins to read: behind what the last one took.

Rows that were claimed stay in the index until InnoDB purges them, half a second and thousands of
rows later; a claim that began at the front would walk over all of them. Only a claim that was
filled leaves a mark, so that nothing is hidden but behind a backlog, and not for long: what came to
stand before the mark (by a commit that came late, or a release by another process) is found by the
next claim from the front.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

#: Seconds between two claims from the front.
FRONT_EVERY = 0.2

#: A queue and an isolation.
Lane = tuple[str, str]
#: Rank and row number.
Place = tuple[int, int]


class _Mark(NamedTuple):
    rank: int
    seq: int
    holds_until: float


class Marks:
    def __init__(self) -> None:
        self._marks: dict[Lane, _Mark] = {}

    def behind(self, lane: Lane) -> Place | None:
        """The place behind which to read; None: from the front."""
        mark = self._marks.get(lane)
        if mark is None or monotonic() >= mark.holds_until:
            self._marks.pop(lane, None)
            return None
        return mark.rank, mark.seq

    def claimed(self, lane: Lane, places: Sequence[Place], *, room: int) -> None:
        """What one read has claimed, in order, where there was `room` for so many."""
        before = self._marks.pop(lane, None)
        if len(places) == room:
            holds_until = before.holds_until if before else monotonic() + FRONT_EVERY
            self._marks[lane] = _Mark(*places[-1], holds_until)

    def forget(self) -> None:
        self._marks.clear()
