"""B1: batches whose workers are killed at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos.checks import check_killed
from chaos.counting import Count
from chaos.feeding import Brought, mixed
from chaos.run import CEILING, Run
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.scenarios.k1 import kill_one
from chaos.stores import Store
from tabur.model.batches import NewBatch
from tabur.model.clock import now_us
from tabur.model.ids import new_id
from tabur.model.states import Isolation

#: Jobs dispatched in one transaction.
LOT = 1000
#: In the batch that may fail, one in so many does.
DOOMED = 20


@dataclass(frozen=True)
class _Batch:
    """As it was brought. `then`, `catch` and `finally_` are numbers of jobs."""

    id: bytes
    total: int
    then: int
    catch: int
    finally_: int
    doomed: frozenset[int]

    @property
    def expected(self) -> set[int]:
        return {self.finally_, self.catch if self.doomed else self.then}

    @property
    def unexpected(self) -> set[int]:
        return {self.then, self.catch, self.finally_} - self.expected


@dataclass(frozen=True)
class B1(OnEachStore):
    """SIGKILL to the children of a supervisor while they settle two large batches: in one all
    complete, in the other some fail for good."""

    id: ClassVar[str] = "B1"
    title: ClassVar[str] = "batches whose workers are killed at random"

    jobs: int = 100_000  # both batches together
    ms: int = 50  # longest run of a job
    processes: int = 4
    kills: int | None = None
    """None: one after the other until all is done."""
    every: float = 2.0  # seconds

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, jobs=400, ms=200, processes=2, kills=2, every=0.7)

    def lasting(self, minutes: float) -> Self:
        return replace(self, jobs=int(20_000 * minutes))

    def load(self, store: Store) -> str:
        return (
            f"two batches of {self.jobs // 2:,} jobs of 1 to {self.ms} ms, {self.processes} worker "
            f"processes, one of them killed every {self.every:g} s"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url, environment=self.environment, watched=True) as run:
            batches = [self._bring(run, doomed=each) for each in (0, DOOMED)]
            host = run.host(processes=self.processes, slots=10, app="chaos.batching:jobs")
            run.at_work(host)
            kills = 0
            while run.unfinished() and (self.kills is None or kills < self.kills):
                kill_one(run, host, after=self.every)
                kills += 1
            report.figures["drained after (s)"] = round(
                run.drain(ceiling=CEILING + self.jobs / 100), 1
            )
            report.at_least("kills", kills, 1)

            apart = {number for each in batches for number in each.doomed | each.unexpected}
            failed = sum(len(each.doomed) for each in batches)
            count = check_killed(report, run, apart=apart, failed=failed)
            for each in batches:
                _check_batch(report, run, each, count)

    def _bring(self, run: Run, *, doomed: int) -> _Batch:
        """`doomed`: one in so many; 0: none."""
        total = self.jobs // 2
        then, catch, finally_ = run.numbers(3)
        batch = new_id()
        waiting = [
            Brought("light", Isolation.LOOP, number, {}, blockers=1)
            for number in (then, catch, finally_)
        ]
        ids = run.bring(waiting)
        new = NewBatch(
            id=batch,
            name="B1",
            created_at=now_us(),
            allow_failures=True,
            next=(ids[then],),
            catch=(ids[catch],),
            finally_=(ids[finally_],),
        )
        to_fail: set[int] = set()
        for begin in range(0, total, LOT):
            numbers = run.numbers(min(LOT, total - begin))
            chosen = {number for number in numbers if doomed and number % doomed == 1}
            to_fail |= chosen
            run.bring(self._members(run, numbers, chosen, batch), [] if begin else [new])
        return _Batch(batch, total, then, catch, finally_, frozenset(to_fail))

    def _members(
        self, run: Run, numbers: Sequence[int], doomed: set[int], batch: bytes
    ) -> list[Brought]:
        return [
            each._replace(batch=batch)
            if each.number not in doomed
            else Brought(
                *("doomed", Isolation.LOOP, each.number, {"ms": random.randint(1, self.ms)}),
                batch=batch,
            )
            for each in mixed(numbers, ms=self.ms, books=False)
        ]


def _check_batch(report: Report, run: Run, batch: _Batch, count: Count) -> None:
    found = run.driver.batches.find(batch.id)
    what = "with failures" if batch.doomed else "without"
    if found is None:
        report.none(f"batch {what}: not there", 1)
        return
    report.none(f"batch {what}: not finished", int(found.finished_at is None))
    report.none(f"batch {what}: counted as pending", found.pending)
    wrong = {
        "in all": abs(found.total - batch.total),
        "failed": abs(found.failed - len(batch.doomed)),
        "cancelled": found.cancelled,
        "completed": abs(found.completed - (batch.total - len(batch.doomed))),
    }
    for counter, off in wrong.items():
        report.none(f"batch {what}: {counter}, off by", off)
    report.none(f"batch {what}: callbacks missing", len(batch.expected - count.ended))
    ran = {number for number in batch.unexpected if number in count.runs}
    report.none(f"batch {what}: callbacks that are not its", len(ran))
