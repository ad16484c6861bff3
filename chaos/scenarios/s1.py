"""S1: many processes on one SQLite file."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos.checks import check_effects
from chaos.run import Run
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch

WAL = 64.0  # MB


@dataclass(frozen=True)
class S1(Scenario):
    """Workers, dispatchers with transactions of their own among them, and one who reads."""

    id: ClassVar[str] = "S1"
    title: ClassVar[str] = "SQLite: 8 processes on one file"

    seconds: float = 600.0
    rate: float = 150.0  # of each dispatcher
    workers: int = 4
    dispatchers: int = 4

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, seconds=6.0, rate=40.0)

    def lasting(self, minutes: float) -> Self:
        return replace(self, seconds=minutes * 60)

    def run(self, place: Path) -> list[Report]:
        took = Stopwatch()
        file = place / "jobs.sqlite3"
        wal = file.with_name(f"{file.name}-wal")
        load = (
            f"{self.workers} worker processes and {self.dispatchers} dispatchers of "
            f"{self.rate:g} jobs/s for {self.seconds:g} s"
        )
        report = Report(self.id, "SQLite", load)
        with Run(place, f"sqlite:///{file}") as run:
            run.work(processes=self.workers)
            for _ in range(self.dispatchers):
                run.dispatch(rate=self.rate, seconds=self.seconds, at_once=4)
            largest, read_errors, reads = 0, 0, 0
            ends = time.monotonic() + self.seconds
            while time.monotonic() < ends:
                largest = max(largest, wal.stat().st_size)
                try:
                    run.driver.inspection.queues()
                except Exception as error:
                    report.figures["a reader was told"] = str(error)
                    read_errors += 1
                reads += 1
                time.sleep(0.05)
            run.dispatched()
            report.figures["drained after (s)"] = round(run.drain(), 1)
            check_effects(report, run)
            count = run.count()
            locked = sum(each.log.lower().count("locked") for each in run.workers)
            report.none(
                '"database is locked", said to a dispatcher, a reader or a worker',
                count.saying("locked") + read_errors + locked,
            )
            report.none(
                "dispatches that raised", sum(d.verdict != "done" for d in count.dispatches)
            )
            report.none("orders without their job, or the reverse", run.orders_astray(count))
            report.at_most("largest WAL (MB)", largest / 1e6, WAL)
            report.figures |= {"reads": reads, "jobs/s": round(len(count.ended) / self.seconds)}
        report.seconds = took()
        return [report]
