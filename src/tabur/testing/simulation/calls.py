"""The way to the store: what becomes of each call, by chance, and by what lies between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tabur.testing.simulation.host import Host, HostProcess
    from tabur.testing.simulation.world import World

#: Seconds after which a client gives up waiting for its answer.
PATIENCE = 8.0
#: Seconds after which what was given up may still arrive.
LATEST = 60.0
#: Seconds after which nobody can have missed that the store answers nobody.
NOTICED = 20.0
#: The first call of a child is that much more likely to hang.
FIRST = 4


class Fate(msgspec.Struct, frozen=True):
    """What becomes of one call. Seconds from when it is sent."""

    takes: float
    """Until its caller goes on."""
    arrives: float | None
    """When it is done; it may be after its caller has given up. None: never."""
    answered: bool = True


class Calls:
    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Random(f"{world.seed} calls")
        plan = world.plan
        self._kinds = (
            (plan.refused, self._refused),
            (plan.unanswered, self._unanswered),
            (plan.late, self._late),
            (plan.slow, self._slow),
        )
        self.cuts: dict[Host, str] = {}
        """Hosts that cannot reach the store, and how they are told."""
        self._stalls: list[tuple[float, float]] = []
        """From when to when the store answers nobody."""

    def fate(self, process: HostProcess, verb: str, given: Sequence[Any]) -> Fate | None:
        """None: it is done and answered at once."""
        world = self._world
        if (how := self.cuts.get(process.host)) is not None:
            return CUTS[how](self._chance)
        if (left := self._stalled_for) > 0:
            arrives = left + self._chance.uniform(0.0, 0.5)
            return Fate(min(arrives, PATIENCE), arrives, answered=arrives < PATIENCE)
        fate = world.spite.fate(process, verb, given)
        return fate if fate is not None or world.is_calm else self._drawn(process)

    def stall(self, seconds: float) -> None:
        now = self._world.timeline.now
        self._stalls.append((now, now + seconds))

    def stalled(self, since: float, *, but: float) -> float:
        """Seconds for which the store has answered nobody since then, each time so long that nobody
        can have missed it; of each so many that count for nothing are left out."""
        now = self._world.timeline.now
        return sum(
            max(0.0, min(now, end) - max(since, start) - but)
            for start, end in self._stalls
            if end - start > NOTICED
        )

    @property
    def _stalled_for(self) -> float:
        return self._stalls[-1][1] - self._world.timeline.now if self._stalls else 0.0

    def _drawn(self, process: HostProcess) -> Fate | None:
        chance = self._chance
        if process.supervisor is not None:
            hung = self._world.plan.hung * (1 if process.has_called else FIRST)
            process.has_called = True
            if chance.random() < hung:
                return Fate(inf, 0.0)
        luck = chance.random()
        for share, draw in self._kinds:
            if luck < share:
                return draw()
            luck -= share
        return None

    def _refused(self) -> Fate:
        return Fate(self._chance.uniform(0.0, 0.1), None)

    def _unanswered(self) -> Fate:
        arrives = self._chance.uniform(0.0, 0.1)
        return Fate(arrives + self._chance.choice([0.1, PATIENCE]), arrives, answered=False)

    def _late(self) -> Fate:
        return Fate(PATIENCE, PATIENCE + self._chance.uniform(0.0, LATEST), answered=False)

    def _slow(self) -> Fate:
        slowness = self._world.plan.slowness
        arrives = self._chance.uniform(0.0, slowness)
        takes = min(PATIENCE, arrives + self._chance.uniform(0.0, slowness))
        return Fate(takes, arrives, answered=arrives < PATIENCE)


CUTS: dict[str, Callable[[Random], Fate]] = {
    "refused": lambda chance: Fate(chance.uniform(0.0, 1.0), None),
    "swallowed": lambda _: Fate(PATIENCE, None),
    "no answers": lambda _: Fate(PATIENCE, 0.1, answered=False),
}
