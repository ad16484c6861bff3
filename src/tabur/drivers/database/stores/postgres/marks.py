"""Where claims begin to read: behind the rows that were claimed and deleted before.

Deleted rows stay in the index until VACUUM removes them, which it cannot while some transaction
elsewhere is open; a claim that began at the front would walk over all of them. A mark is a hint
and nothing more: what became claimable before it (a commit that came late, a release by another
process) is found by a claim from the front, about once a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

#: Seconds between two claims from the front; more where one takes long, so that they cost no more
#: than this share of the time.
FRONT_EVERY, FRONT_SHARE = 1.0, 0.01
#: More priorities than this are not remembered apart.
PRIORITIES = 8

_LOWEST, _HIGHEST = -(2**31), 2**31 - 1

_PLAIN = 0
"""The rank of a job without a priority."""

#: Queue and isolation.
Key = tuple[str, str]
#: Rank and row number.
Place = tuple[int, int]
#: From a place on, below a rank.
Branch = tuple[int, int, int]


class Marks:
    """By queue and isolation."""

    def __init__(self) -> None:
        self._next: dict[Key, dict[int, int]] = {}
        """For each rank the row number to begin at."""
        self._front_at: dict[Key, float] = {}
        """When (monotonic) it is to be read from the front again."""
        self._at_front: list[Key] = []
        """What the read that runs now begins with at the front."""
        self._seen = 0
        """The highest row number claimed so far, of any queue: new jobs get higher ones."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around a read of some `branches`."""
        started = monotonic()
        self._at_front = []
        yield
        again_at = started + max(FRONT_EVERY, (monotonic() - started) / FRONT_SHARE)
        self._front_at.update(dict.fromkeys(self._at_front, again_at))

    def branches(self, queue: str, kind: str) -> Sequence[Branch]:
        """The stretches to read, in order; together everything but what lies before a mark, and
        now and then that too."""
        key = (queue, kind)
        if monotonic() >= self._front_at.get(key, 0.0):
            self._at_front.append(key)
            return [(_LOWEST, 0, _HIGHEST)]
        known = sorted(self._next.get(key, {}).items())
        starts = [(_LOWEST, 0), *known]
        ends = [rank for rank, _ in known] + [_HIGHEST]
        return [(rank, seq, end) for (rank, seq), end in zip(starts, ends, strict=True)]

    def claimed(self, queue: str, kind: str, places: Sequence[Place], *, room: int) -> None:
        """What one read of `branches` has claimed, in order, where there was `room` for so many."""
        marks = self._next.setdefault((queue, kind), {})
        if (queue, kind) in self._at_front:
            marks.clear()  # behind what it has reached there may be more, before the marks
        for rank, seq in places:
            self._seen = max(self._seen, seq)
            marks[rank] = seq + 1
        if len(places) < room:  # it came to the end: nothing is left behind what was ever seen
            for rank in marks or (_PLAIN,):
                marks[rank] = self._seen + 1
        if len(marks) > PRIORITIES:
            marks.clear()

    def forget(self) -> None:
        """Read everything from the front next time."""
        self._front_at.clear()
        self._at_front.clear()
