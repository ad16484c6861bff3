"""What happens just when it hurts most: what would not meet by chance in a thousand seeds."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from tabur.testing.simulation.calls import Fate

if TYPE_CHECKING:
    from tabur.testing.simulation.host import Host, HostProcess
    from tabur.testing.simulation.world import World

#: Seconds that a look for lost workers takes, while somebody waits for one of them to beat.
LOOKS_FOR = 6.0
EPSILON = 0.001


class Spite:
    """It sees each call, and lets happen what its caller could not wish for; of each seed one kind
    of thing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Random(f"{world.seed} spite")
        self._left = world.plan.spite
        """How often it strikes yet."""
        self._verb = self._chance.choice(["remove", "list", "exchange"])
        self._watched_by: Host | None = None
        self._watched_until = 0.0

    def fate(self, process: HostProcess, verb: str, given: Sequence[Any]) -> Fate | None:
        if not self._left or self._chance.random() < 0.5:
            return None
        if verb == "beat":
            self._beats(process.host)
        if verb != self._verb:
            return None
        match verb:
            case "remove":
                return self._removes(given[0])
            case "list" if not self._world.is_calm:
                self._watched_by = process.host
                self._watched_until = self._world.timeline.now + LOOKS_FOR
                return Fate(LOOKS_FOR, LOOKS_FOR - EPSILON)
            case "exchange" if given[0].slots and not self._world.is_calm:
                return self._claims(process.host)
        return None

    def _removes(self, worker: str) -> Fate | None:
        """Who is just being removed as lost beats again."""
        world = self._world
        if worker not in world.workers:
            return None
        host = world.workers[worker].host
        if not host.is_stopped and host not in world.calls.cuts:
            return None
        self._left -= 1
        world.weather.go_on(host)
        world.weather.reach(host)
        return Fate(4.0, self._chance.uniform(1.0, 4.0))

    def _beats(self, host: Host) -> None:
        """Who beats while somebody looks for it stands still right after."""
        if host is not self._watched_by and self._world.timeline.now < self._watched_until:
            self._watched_until = 0.0
            self._stop(host)

    def _claims(self, host: Host) -> Fate | None:
        """Who is given a job stands still before it hears of it."""
        if not self._world.store.has_waiting:
            return None
        self._stop(host)
        return Fate(2 * EPSILON, 0.0)

    def _stop(self, host: Host) -> None:
        if not host.is_stopped:
            self._left -= 1
            seconds = self._chance.uniform(33.0, 50.0)
            self._world.timeline.after(EPSILON, lambda: self._world.weather.stop(host, seconds))
