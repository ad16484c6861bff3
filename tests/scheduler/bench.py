"""An app on the memory store whose clock goes on only when told to, and schedulers that look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tabur import Tabur
from tabur.drivers.contract import Driver, Filter
from tabur.drivers.memory.driver import MemoryDriver
from tabur.model.clock import SECOND
from tabur.model.records import JobRecord
from tabur.model.schedules import Tick
from tabur.scheduler.entry import Declared
from tabur.scheduler.ticker import Ticker
from tabur.testing.conformance.subject import Clock
from tabur.worker.inline import drain

#: 2026-01-05 10:00:00 UTC, a Monday.
MONDAY = 1_767_607_200 * SECOND


class OneStore:
    """Answers the same driver for every connection."""

    fake = False
    beside: Sequence[Driver] = ()

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def get(self, connection: str) -> Driver:
        return self.driver

    def close(self) -> None: ...


class Bench:
    """`jobs` declares; `clock` is the store's; `said` is what schedulers told."""

    def __init__(self, now: int = MONDAY) -> None:
        self.clock = Clock(now)
        self.driver = MemoryDriver(clock=self.clock)
        self.jobs = Tabur("memory")
        self.jobs._stores = OneStore(self.driver)
        self.said: list[str] = []
        self.monotonic = 0.0

    def ticker(
        self,
        name: str = "one",
        *,
        driver: Driver | None = None,
        declared: dict[str, Declared] | None = None,
    ) -> Ticker:
        return Ticker(
            driver or self.driver,
            self.jobs.schedule.declared() if declared is None else declared,
            self.jobs.maker(None),
            name=name,
            say=self.said.append,
            clock=lambda: self.monotonic,
        )

    def begun(self) -> Ticker:
        """A scheduler that has made the code's schedules known."""
        ticker = self.ticker()
        ticker.register()
        return ticker

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.monotonic += seconds

    def watch(self, ticker: Ticker, seconds: int, *, each: int = 1) -> None:
        """Look every so many seconds, for so long."""
        for _ in range(seconds // each):
            self.pass_by(each)
            ticker.tick()

    def ticks(self, name: str | None = None) -> list[Tick]:
        """Oldest first."""
        return list(reversed(self.driver.schedules.ticks(name, limit=100_000)))

    def became(self, name: str | None = None) -> list[tuple[int, str]]:
        """Seconds from the beginning, and what became of each tick."""
        return [((tick.due_at - MONDAY) // SECOND, str(tick.decision)) for tick in self.ticks(name)]

    def dispatched(self) -> Sequence[JobRecord]:
        """Oldest first."""
        return list(reversed(self.driver.inspection.list(Filter(), limit=100_000)))

    def work(self) -> None:
        drain(self.jobs.runtime)


def nothing() -> None:
    pass


def declare(tell: Callable[[Any], Any], *, now: int = MONDAY) -> tuple[Bench, Ticker]:
    """A bench with one schedule that does nothing, and a scheduler that knows it."""
    bench = Bench(now)
    tell(bench.jobs.schedule.call(nothing).name("it"))
    return bench, bench.begun()
