"""C2: clocks that are wrong, and a store that stands still."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos.checks import check_killed
from chaos.counting import SECOND, Count
from chaos.feeding import Brought
from chaos.run import BROUGHT, Run, Stuck
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from servers.clock import PROGRAM, Clock
from tabur.model.outcome import Ending
from tabur.model.states import Isolation

HOUR, STEP = 3600.0, 600.0  # seconds
#: Seconds: half the way to a store and back, by which nobody can tell its clock better.
TOLERANCE = 0.05
LATE = 2.0  # seconds after its time


@dataclass(frozen=True)
class C2(OnEachStore):
    """Two hosts with workers and applications that dispatch, one an hour ahead and one an hour
    behind; while jobs wait for their time, the clocks of both are set back by ten minutes. A file
    has all its processes on one machine, so that there only the step is tried; it is taken back,
    since nothing is due meanwhile. Then the store stands still for longer than a worker may."""

    id: ClassVar[str] = "C2"
    title: ClassVar[str] = "clocks an hour apart and set back; a store that stands still"
    also: ClassVar[tuple[str, ...]] = (PROGRAM,)

    rounds: int = 5
    jobs: int = 200  # from each host, in each round
    delay: float = 20.0  # seconds
    running: int = 20
    """Jobs that run when the store stops."""
    still: float = 60.0  # seconds

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, beat=0.5, lost=8.0, rounds=1, jobs=50, delay=3.6, running=6, still=9.0)

    def lasting(self, minutes: float) -> Self:
        return replace(self, rounds=max(1, int(minutes * 60 / (self.delay + self.still + 20))))

    def load(self, store: Store) -> str:
        apart = "of one machine" if store.is_file else "whose clocks are two hours apart"
        return (
            f"2 hosts {apart}; {self.rounds} times {2 * self.jobs} jobs with a delay of "
            f"{self.delay:g} s, while they wait the clocks are set back by {STEP:g} s; then the "
            f"store stands still for {self.still:g} s, with lost workers after {self.lost:g} s"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        clocks = _clocks(store, place)
        with Run(place, store.url, environment=self.environment, watched=True) as run:
            environments = [each.environment(_PATHS) for each in clocks]
            hosts = [run.host(environment=each) for each in environments]
            for number in range(self.rounds):
                run.at_work(*hosts)
                self._delayed(run, clocks, environments, number)
                self._stand_still(run, store)
                run.at_work(*hosts)
            report.figures["drained after (s)"] = round(run.drain(ceiling=20.0), 1)

            count = check_killed(report, run)
            waits = _waits(count, self.delay)
            report.none("ran before their time", sum(wait < -TOLERANCE for wait in waits))
            if not store.is_file:
                latest = max(waits, default=0.0)
                report.at_most("latest after its time (s)", latest, LATE * self.generosity)
            report.at_least("delayed starts", len(waits), 2 * self.jobs * self.rounds)
            # Beside other tests a worker may stand still for a second more than its neighbours.
            spared = 0 if self.generosity == 1 else 1
            report.at_most("workers called lost", run.said(" is lost"), spared)
            report.none("crashes counted", _crashes(run, count))
            report.times("after its time", waits)

    def _delayed(
        self,
        run: Run,
        clocks: Sequence[Clock],
        environments: Sequence[Mapping[str, str]],
        number: int,
    ) -> None:
        """Dispatches from both hosts, and sets their clocks while the jobs wait."""
        for environment in environments:
            run.dispatch(
                environment=environment,
                jobs=self.jobs,
                rate=10 * self.jobs,
                delay=self.delay,
                ms=5,
            )
        run.dispatched()
        time.sleep(self.delay / 3)
        for clock in {*clocks}:
            clock.step(-STEP)
        time.sleep(self.delay / 3)
        if len({*clocks}) == 1 or number % 2:  # or there would soon be days between them
            for clock in {*clocks}:
                clock.step(STEP)
        with suppress(Stuck):  # what does not come in time is for the checks to tell
            run.until(lambda: run.unfinished() == 0, "delayed jobs", ceiling=3 * self.delay + 10)

    def _stand_still(self, run: Run, store: Store) -> None:
        """With jobs that begin before it and end meanwhile."""
        numbers = run.numbers(self.running)
        ids = run.bring(
            Brought("light", Isolation.LOOP, number, {"ms": int(self.still * 1000 / 3)})
            for number in numbers
        )
        run.until(lambda: {*numbers} <= {each.number for each in run.effects()}, "jobs to run")
        run.driver.close()
        with store.standing_still():
            time.sleep(self.still)
        run.until(lambda: all(map(run.is_finished, ids.values())), "what ran meanwhile")


_PATHS = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def _clocks(store: Store, place: Path) -> list[Clock]:
    """Of the two hosts; those of a file share one."""
    if store.is_file:
        return [Clock(place / "shared")] * 2
    return [Clock(place / "ahead", ahead=HOUR), Clock(place / "behind", ahead=-HOUR)]


def _waits(count: Count, delay: float) -> list[float]:
    """Seconds from the moment at which each attempt was due until it began, by the clock that
    nobody sets. A second attempt waits as long as the first."""
    waits = []
    for dispatch in count.dispatches:
        if dispatch.way != "plain" or dispatch.first > BROUGHT:
            continue
        for number in dispatch.numbers:
            due = dispatch.at + int(delay * SECOND)
            for run in count.runs.get(number, []):
                waits.append((run.started - due) / SECOND)
                due = run.started + int(delay * SECOND)
    return waits


def _crashes(run: Run, count: Count) -> int:
    jobs = {runs[0].job for runs in count.runs.values()}
    endings = [each.ending for job in jobs for each in run.driver.inspection.attempts(job)]
    return endings.count(Ending.CRASHED)
