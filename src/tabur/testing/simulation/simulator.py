"""Runs seeds, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from tabur.drivers.contract import Driver
from tabur.drivers.memory.driver import MemoryDriver
from tabur.testing.simulation.history import History
from tabur.testing.simulation.jobs import Apps
from tabur.testing.simulation.world import World

MakeDriver = Callable[[Callable[[], int]], Driver]


class Broken(AssertionError):
    """A promise is; `history` tells how it came to that."""

    def __init__(self, history: History) -> None:
        super().__init__(
            f"seed {history.seed}: {history.broken}\n"
            f"python -m tabur.testing.simulation --seed {history.seed} --trace"
        )
        self.history = history


class Simulator:
    """`make_driver` gets a clock (microseconds) and answers a driver on an empty store, each time a
    new one; the one in memory unless given."""

    def __init__(self, make_driver: MakeDriver | None = None) -> None:
        self._make_driver = make_driver or (lambda clock: MemoryDriver(clock=clock))
        self._apps = Apps()

    def run(self, seed: int) -> History:
        """What happens in the world of this seed: up to its end, or to the first broken promise."""
        world = self._apps.world = World(seed, self._apps, self._make_driver)
        try:
            return world.run()
        finally:
            self._apps.world = None

    def check(self, seed: int) -> History:
        """As `run`; raises Broken."""
        history = self.run(seed)
        if history.broken is not None:
            raise Broken(history)
        return history
