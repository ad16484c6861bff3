"""Where claims begin to read: behind the rows that were claimed and deleted before.

Deleted rows stay in the index until VACUUM removes them, which it cannot while some transaction
elsewhere is open; a claim that began at the front would walk over all of them. A mark is a hint
and nothing more: what became claimable before it (a commit that came late, a release by another
process) is found by a claim from the front, about once a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

#: Seconds between two claims from the front; more where one takes long, so that they cost no more
#: than this share of the time.
FRONT_EVERY, FRONT_SHARE = 1.0, 0.05
#: More priorities than this are not remembered apart.
PRIORITIES = 8

_LOWEST, _HIGHEST = -(2**31), 2**31 - 1

#: From (rank, seq) on, below a rank.
Branch = tuple[int, int, int]


class Marks:
    def __init__(self) -> None:
        self._next: dict[tuple[str, str], dict[int, int]] = {}
        """By queue and isolation: for each rank the row number behind the last claimed one."""
        self._front_at = 0.0

    def branches(self, queue: str, kind: str) -> Sequence[Branch]:
        """The stretches to read, in order; together everything but what lies before a mark."""
        known = sorted(self._next.get((queue, kind), {}).items())
        starts = [(_LOWEST, 0), *known]
        ends = [rank for rank, _ in known] + [_HIGHEST]
        return [(rank, seq, end) for (rank, seq), end in zip(starts, ends, strict=True)]

    def claimed(self, queue: str, kind: str, places: Iterable[tuple[int, int]]) -> None:
        """Rank and row number of what was claimed."""
        marks = self._next.setdefault((queue, kind), {})
        for rank, seq in places:
            marks[rank] = max(seq + 1, marks.get(rank, 0))
        if len(marks) > PRIORITIES:
            marks.clear()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around a read of the stretches: now and then it begins at the front."""
        started = monotonic()
        from_the_front = started >= self._front_at
        if from_the_front:
            self._next.clear()
        yield
        if from_the_front:
            took = monotonic() - started
            self._front_at = started + max(FRONT_EVERY, took / FRONT_SHARE)

    def forget(self) -> None:
        self._front_at = 0.0
