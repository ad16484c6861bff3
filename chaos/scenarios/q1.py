"""Q1: many workers on one queue of MariaDB."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import pymysql

from chaos import ledger
from chaos.checks import check_effects
from chaos.ledger import ENDED
from chaos.run import Run
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from servers.mariadb import MariaDBServer

WORDS = ("deadlock", "lock wait", "1205", "1213", "does not answer")
#: They are done again, and nobody sees them; many would cost all the same.
DEADLOCKS = 10.0


@dataclass(frozen=True)
class Q1(Scenario):
    id: ClassVar[str] = "Q1"
    title: ClassVar[str] = "MariaDB: 16 workers on one queue"
    programs: ClassVar[tuple[str, ...]] = ("mariadbd", "mariadb-install-db")

    jobs: int = 100_000
    rate: float = 3000.0  # of each dispatcher: more than is done, so that all workers have work
    ms: int = 10  # longest run of a job
    workers: int = 16
    dispatchers: int = 2
    share: float = 0.2
    """Of an even share, what each worker must have run at least."""

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, jobs=4_000, rate=2000.0, ms=100, workers=6, share=0.02)

    def lasting(self, minutes: float) -> Self:
        return replace(self, jobs=min(self.jobs, int(minutes * 60_000)))

    def run(self, place: Path) -> list[Report]:
        took = Stopwatch()
        load = (
            f"{self.workers} worker processes, {self.dispatchers} dispatchers of {self.rate:g} "
            f"jobs/s, {self.jobs:,} jobs"
        )
        report = Report(self.id, "MariaDB", load)
        with MariaDBServer.start() as server, Run(place, server.url()) as run:
            run.work(processes=self.workers, slots=10)
            for _ in range(self.dispatchers):
                run.dispatch(rate=self.rate, jobs=self.jobs // self.dispatchers, ms=self.ms)
            run.dispatched()
            report.figures["drained after (s)"] = round(run.drain(ceiling=600), 1)
            check_effects(report, run)
            count = run.count()
            report.none("dispatches that were told of a lock", count.saying(*WORDS))
            said = sum(each.log.lower().count(word) for each in run.workers for word in WORDS)
            report.none("workers' lines that tell of a lock", said)
            report.none(
                "dispatches that raised", sum(d.verdict != "done" for d in count.dispatches)
            )
            report.none("orders without their job, or the reverse", run.orders_astray(count))
            ran = Counter(each.pid for each in ledger.effects(place) if each.what == ENDED)
            even = sum(ran.values()) / self.workers
            least = min(ran.values()) if len(ran) == self.workers else 0
            report.at_least("least that one worker ran, of an even share", least / even, self.share)
            report.figures |= {
                "most that one worker ran, of an even share": round(max(ran.values()) / even, 2),
            }
            report.at_most(
                "deadlocks that MariaDB counted, for each 1,000 jobs",
                _deadlocks(server) * 1000 / self.jobs,
                DEADLOCKS,
            )
        report.seconds = took()
        return [report]


def _deadlocks(server: MariaDBServer) -> int:
    with pymysql.connect(host="127.0.0.1", port=server.port, user="tabur") as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        row = cursor.fetchone()
    return int(row[1]) if row else 0  # not counted by every version
