"""Which queue gets a process more, and which one gives one up: the decisions, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import msgspec

from tabur.model.scaling import Level, Limits, need, share

#: Seconds that a queue must have wanted fewer before another one that waits for room gets its
#: process. Starting one takes about a second of a core: it is not done for a moment's sake.
YIELD = 5.0


class Change(msgspec.Struct, frozen=True):
    """How many processes of a queue there are to be, and why."""

    queue: str
    before: int
    after: int
    why: str

    def __str__(self) -> str:
        noun = "process" if self.after == 1 else "processes"
        return f"{self.queue}: {self.before} → {self.after} {noun}: {self.why}"


class Plan(msgspec.Struct, frozen=True):
    """What follows from one look: `wanted` by queue, and what is to be changed now."""

    wanted: Mapping[str, int]
    changes: tuple[Change, ...] = ()


class Balancer:
    """Decides for one supervisor: up at once, down one by one.

    A queue gives a process up when it has wanted fewer for `cooldown` seconds, and the next one
    after as long again. Only where another queue waits for room within `total` does it go sooner.
    `max_shift`: so many processes of a queue are started at most at once; 0: no limit. Raises
    ConfigError where the minimums of all queues are more than `total`.
    """

    def __init__(
        self,
        limits: Mapping[str, Limits],
        *,
        total: int,
        target: float,
        cooldown: float = 30.0,
        max_shift: int = 0,
    ) -> None:
        self._limits = limits
        self._total = total
        self._target = target
        self._cooldown = cooldown
        self._max_shift = max_shift
        self._fewer_since: dict[str, float] = {}
        """By queue, since when it has wanted fewer processes than it has."""
        share([Level(queue, 0) for queue in limits], limits, total=total, target=target)

    def decide(
        self, levels: Sequence[Level], running: Mapping[str, int], *, ending: int = 0, now: float
    ) -> Plan:
        """What to change, given the processes that are `running` by queue. `ending`: how many
        beside them have been told to end and still take room. `now` in seconds, monotonic."""
        wants = share(levels, self._limits, total=self._total, target=self._target)
        have = {queue: running.get(queue, 0) for queue in wants}
        for queue in wants:
            if wants[queue] < have[queue]:
                self._fewer_since.setdefault(queue, now)
            else:
                self._fewer_since.pop(queue, None)
        after, missing = self._more(wants, have, ending)
        after |= self._fewer(wants, have, missing - ending, now)
        by_queue = {each.queue: each for each in levels}
        changes = [
            Change(queue, have[queue], count, self._why(by_queue[queue], count, wants, have))
            for queue, count in after.items()
            if count != have[queue]
        ]
        return Plan(wants, tuple(changes))

    def _more(
        self, wants: Mapping[str, int], have: Mapping[str, int], ending: int
    ) -> tuple[dict[str, int], int]:
        """Whom to give more, and for how many there was no room: who has least of what he wants
        comes first."""
        room = self._total - sum(have.values()) - ending
        goals = {
            queue: min(count, have[queue] + self._max_shift) if self._max_shift else count
            for queue, count in wants.items()
            if count > have[queue]
        }
        after = {queue: have[queue] for queue in goals}
        missing = sum(goals.values()) - sum(after.values())
        for _ in range(max(0, min(room, missing))):
            short = [queue for queue in goals if after[queue] < goals[queue]]
            first = min(short, key=lambda queue: after[queue] / wants[queue])
            after[first] += 1
        return after, missing - max(0, min(room, missing))

    def _fewer(
        self, wants: Mapping[str, int], have: Mapping[str, int], needed: int, now: float
    ) -> dict[str, int]:
        """Who gives up how many; `needed`: others wait for so many."""
        after = {}
        for queue, since in self._fewer_since.items():
            surplus = have[queue] - wants[queue]
            if needed > 0 and now - since >= min(YIELD, self._cooldown):
                given = min(surplus, needed)
                needed -= given
            elif now - since >= self._cooldown:
                given = 1
            else:
                continue
            after[queue] = have[queue] - given
        for queue in after:
            self._fewer_since[queue] = now
        return after

    def _why(
        self, level: Level, after: int, wants: Mapping[str, int], have: Mapping[str, int]
    ) -> str:
        queue, limits = level.queue, self._limits[level.queue]
        asked = need(level, self._target)
        if after < have[queue]:
            waits = any(wants[each] > have[each] for each in wants)
            reason = "another queue needs more" if waits else self._enough(wants[queue])
        elif asked > wants[queue]:
            most = limits.maximum
            bound = f"{most} at most" if wants[queue] == most else f"{self._total} at most in all"
            reason = f"{ceil(asked):,} would do, {bound}"
        elif asked <= limits.minimum:
            reason = f"{limits.minimum} at least"
        else:
            reason = f"at most {self._target:g} s wanted"
        return f"{level}; {reason}"

    def _enough(self, wanted: int) -> str:
        said = "1 has" if wanted == 1 else f"{wanted or 'fewer'} have"
        return f"{said} been enough for {self._cooldown:g} s"
