"""C1: a million ticks on a clock of their own, decided by three schedulers that are killed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from chaos.cron import runs
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from tabur import Tabur
from tabur.drivers.contract import Driver, Filter
from tabur.drivers.memory.driver import MemoryDriver
from tabur.errors import StoreUnavailable
from tabur.model.clock import SECOND
from tabur.model.schedules import Advance, Decision, DueSchedules
from tabur.model.states import State
from tabur.scheduler.ticker import Ticker

ZONES = ("America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia")
#: What follows the clock and what names times of the day, where clocks are set.
LINES = ("*/10 * * * *", "*/15 0-4 * * *", "5 */2 * * *", "30 2 * * *", "15,45 0-3 * * *")
#: 2011-06-01: Samoa skips a day that year, and Morocco sets its clocks four times a year.
BEGIN = 1_306_886_400
WEEK = 7 * 86_400
#: Ticks that one processor gets through in a minute.
A_MINUTE = 150_000


class Killed(BaseException):
    """The scheduler's process ends here."""


@dataclass(frozen=True)
class C1(Scenario):
    """`share`: of the calls of a scheduler, how many kill it or lose their answer, each."""

    id: ClassVar[str] = "C1"
    title: ClassVar[str] = "schedules: three schedulers killed between reading and writing"

    ticks: int = 1_000_000
    begin: int = BEGIN
    share: float = 0.02
    seed: int = 1

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, ticks=6_000, begin=int(datetime(2011, 12, 26, tzinfo=UTC).timestamp()))

    def lasting(self, minutes: float) -> Self:
        return replace(self, ticks=max(1_000, int(minutes * A_MINUTE)))

    def run(self, place: Path) -> list[Report]:
        took = Stopwatch()
        lines = f"{len(LINES)} expressions in {', '.join(ZONES)}"
        report = Report(self.id, "memory", f"{self.ticks:,} ticks of {lines}")
        world = _World(self.begin, share=self.share, seed=self.seed)
        found: dict[str, list[int]] = {name: [] for name in world.names}
        wrong = {"with another end than dispatched": 0, "jobs without a tick, or ticks without": 0}
        total = 0
        while total < self.ticks:
            world.go_on(WEEK)
            for tick in world.collected(wrong):
                found[tick[0]].append(tick[1])
                total += 1
        for each, expected in _expected(self.begin, world.now // SECOND).items():
            decided, due = found[each], set(expected)
            report.none(f"{each}: doubled", len(decided) - len(set(decided)))
            report.none(f"{each}: missed", len(due - set(decided)))
            report.none(f"{each}: at no moment that cron has", len(set(decided) - due))
        for what, count in wrong.items():
            report.none(what, count)
        report.at_least("ticks", total, self.ticks)
        report.at_least("schedulers killed", world.killed, total * self.share / 4)
        report.figures |= {
            "answers lost": world.lost,
            "decided in vain, for another was first": world.beaten,
            "virtual days": round((world.now - self.begin * SECOND) / SECOND / 86_400),
        }
        report.seconds = took()
        report.figures["ticks a second"] = round(total / max(report.seconds, 0.1))
        return [report]


def _expected(begin: int, end: int) -> dict[str, list[int]]:
    """By the name of each schedule, the seconds at which cron runs it."""
    expected: dict[str, list[int]] = {}
    for zone in ZONES:
        # What falls on the beginning itself was due before the schedules were made.
        for line, found in zip(LINES, runs(LINES, zone, begin, end), strict=True):
            expected[f"{zone} {line}"] = [at for at in found if begin < at <= end]
    return expected


def _nothing() -> None: ...


class _World:
    """Three schedulers on one store whose clock goes where it is told."""

    def __init__(self, begin: int, *, share: float, seed: int) -> None:
        self.now = begin * SECOND
        self.chance = random.Random(seed)
        self.share = share
        self.killed = self.lost = self.beaten = 0
        self._driver = MemoryDriver(clock=lambda: self.now)
        self._app = Tabur("memory")
        for zone in ZONES:
            for line in LINES:
                entry = self._app.schedule.call(_nothing).name(f"{zone} {line}")
                entry.cron(line, timezone=zone, missed="all", missed_limit=1_000)
        self.names = list(self._app.schedule.declared())
        self._tickers = [self._ticker() for _ in range(3)]
        self._dead_until = [0, 0, 0]
        self._tickers[0].register()

    def go_on(self, seconds: int) -> None:
        """Let so much time pass; at its end nothing is due."""
        end = self.now + seconds * SECOND
        while True:
            due = self._driver.schedules.due(limit=1).next_due
            if due is None or due > end:
                break
            self.now = max(self.now, due) + self._delay()
            for n in self.chance.sample(range(3), 3):
                if self.now >= self._dead_until[n]:
                    self._look(n)
        self.now = max(self.now, end)
        while self._driver.schedules.due(limit=1).due:
            self._look(self.chance.randrange(3))

    def collected(self, wrong: dict[str, int]) -> Sequence[tuple[str, int]]:
        """The ticks since the last time, by schedule and second; their jobs are removed."""
        ticks = self._driver.schedules.ticks(None, limit=10**9)
        jobs = self._driver.inspection.list(Filter(), limit=10**9)
        named = {tick.job for tick in ticks}
        strangers = named ^ {job.id for job in jobs}
        wrong["jobs without a tick, or ticks without"] += len(strangers - {None})
        wrong["with another end than dispatched"] += sum(
            tick.decision is not Decision.DISPATCHED for tick in ticks
        )
        found = [(tick.schedule, tick.due_at // SECOND) for tick in ticks]
        self._driver.schedules.prune(before=self.now + 1, limit=10**9)
        self._driver.dispatching.clear(self._app.settings.queue)
        self._driver.dispatching.forget(Filter(states=(State.CANCELLED,)))
        return found

    def quicker(self) -> None:
        """A scheduler with a good line decides all that is due."""
        self._ticker(self._driver).tick()

    def _delay(self) -> int:
        """Mostly a scheduler looks at once; now and then all of them come late."""
        late = self.chance.random() < 0.01
        return int(self.chance.uniform(0, 3_600 if late else 2) * SECOND)

    def _look(self, n: int) -> None:
        try:
            self._tickers[n].tick()
        except StoreUnavailable:
            pass  # it looks again later
        except Killed:
            self.killed += 1
            self._dead_until[n] = self.now + int(self.chance.uniform(0, 1_200) * SECOND)
            self._tickers[n] = (
                self._ticker()
            )  # another process in its place, once its time has come

    def _ticker(self, driver: Driver | None = None) -> Ticker:
        bad_line: Any = _Cut(self._driver, self)
        return Ticker(
            driver or bad_line,
            self._app.schedule.declared(),
            self._app.maker(None),
            name=f"scheduler {self.killed}",
            say=lambda text: None,
            clock=lambda: self.now / SECOND,
        )


class _Cut:
    """A driver on a bad line, in a process that may be killed."""

    def __init__(self, driver: MemoryDriver, world: _World) -> None:
        self._driver = driver
        self._world = world
        self.schedules = self

    def __getattr__(self, name: str) -> Any:
        found: Callable[..., Any] | None = getattr(self._driver.schedules, name, None)
        return found if found is not None else getattr(self._driver, name)

    def due(self, *, limit: int) -> DueSchedules:
        found = self._driver.schedules.due(limit=limit)
        if found.due and self._happens():
            raise Killed  # it has read what is due, and will not write it
        if found.due and self._happens():
            self._world.quicker()  # another one decides and writes, before this one has decided
        return found

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        if self._happens():
            raise StoreUnavailable("The line was cut before it was asked.")
        answers = self._driver.schedules.advance(moves)
        self._world.beaten += answers.count(False)
        if self._happens():
            self._world.lost += 1
            raise StoreUnavailable("The line was cut before it answered.")
        if self._happens():
            raise Killed
        return answers

    def _happens(self) -> bool:
        return self._world.chance.random() < self._world.share
