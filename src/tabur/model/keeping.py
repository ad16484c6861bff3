"""How long finished jobs stay: the rules, and the one place where they are applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from tabur.model.clock import SECOND
from tabur.model.states import State

#: Whatever the rules say, a finished job stays for so long (microseconds): a dispatch or settle
#: that comes again is known by it.
LEAST = 3600 * SECOND


class FinishedJob(msgspec.Struct, frozen=True):
    """A finished job as what takes room. `size`: bytes of its payload and its result."""

    id: bytes
    name: str
    state: State
    ended_at: int
    size: int


class Keep(msgspec.Struct, frozen=True):
    """How long the finished jobs of one name stay. `spans` in microseconds, by ending: one that is
    not there stays until somebody removes it. `at_most`: so many of each ending, those that ended
    last; None: however many."""

    name: str
    spans: Mapping[State, int]
    at_most: int | None = None


class Rules:
    """`default` is for jobs whose name is not among `by_name`; `most_bytes` for all together."""

    def __init__(
        self, default: Keep, by_name: Mapping[str, Keep], *, most_bytes: int | None = None
    ) -> None:
        self.default = default
        self.by_name = by_name
        self.most_bytes = most_bytes

    def of(self, name: str) -> Keep:
        return self.by_name.get(name, self.default)

    def before(self, now: int) -> int | None:
        """The moment before which jobs must have ended of which some go; None where all are to be
        looked at, for they are counted."""
        every = [self.default, *self.by_name.values()]
        if self.most_bytes is not None or any(each.at_most is not None for each in every):
            return None
        return now - min(span for each in every for span in each.spans.values())


class Choice:
    """Which finished jobs go, asked of one after the other, those that ended last first."""

    def __init__(self, rules: Rules, now: int) -> None:
        self._rules = rules
        self._now = now
        self._stay: Counter[tuple[str, State]] = Counter()
        self._bytes = 0

    def goes(self, job: FinishedJob) -> bool:
        keep = self._rules.of(job.name)
        age = self._now - job.ended_at
        if self._is_over(keep, job, age):
            return True
        self._stay[keep.name, job.state] += 1
        self._bytes += job.size
        most = self._rules.most_bytes
        return most is not None and self._bytes > most and age > LEAST

    def _is_over(self, keep: Keep, job: FinishedJob, age: int) -> bool:
        if age <= LEAST:
            return False
        span = keep.spans.get(job.state)
        if span is not None and age > span:
            return True
        return keep.at_most is not None and self._stay[keep.name, job.state] >= keep.at_most
