"""K2: a whole host dies at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos import ledger
from chaos.checks import check_killed, ran_again_after
from chaos.counting import percentile
from chaos.run import Run
from chaos.runs import accepted_ends
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from chaos.workers import Workers

#: Seconds beyond `lost` until others have taken over.
BEYOND = 10.0


@dataclass(frozen=True)
class K2(OnEachStore):
    """Supervisor, children and their jobs' processes of one of two hosts, SIGKILLed at once; the
    other takes over, and the dead one is started again."""

    id: ClassVar[str] = "K2"
    title: ClassVar[str] = "a whole host killed at once"

    rate: float = 200.0
    ms: int = 50  # longest run of a job
    processes: int = 2  # of each host
    deaths: int = 12
    calm: float = 5.0  # seconds of work before each

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, beat=0.5, lost=2.0, rate=80.0, ms=400, processes=1, deaths=1, calm=0.7)

    def lasting(self, minutes: float) -> Self:
        return replace(self, deaths=max(1, int(minutes * 60 / (self.lost + BEYOND))))

    def load(self, store: Store) -> str:
        return (
            f"{self.rate:g} jobs/s of 1 to {self.ms} ms, 2 hosts with {self.processes} worker "
            f"processes each, one host killed {self.deaths} times; lost after {self.lost:g} s"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url, environment=self.environment, watched=True) as run:
            hosts = [run.host(processes=self.processes) for _ in range(2)]
            run.at_work(*hosts)
            feed = run.feed(rate=self.rate, ms=self.ms)
            killed = []
            for death in range(self.deaths):
                time.sleep(self.calm)
                killed.append(self._kill(run, hosts[death % 2]))
            feed.end()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            count = check_killed(report, run)
            waits = ran_again_after(count, killed)
            report.at_least("jobs that were cut off", len(waits), self.deaths)
            report.at_most(
                "others take over within (s), p99",
                percentile(waits, 0.99),
                (self.lost + BEYOND) * self.generosity,
            )
            report.recovered("until what was cut off runs again", waits)

    def _kill(self, run: Run, host: Workers) -> tuple[int, set[int]]:
        """Answers when, and which processes; returns when what they ran has run again, and the host
        is at work."""
        children = host.children()
        run.until(
            lambda: sum(ledger.running(run.place, pid) for pid in children) > 1, "jobs to cut off"
        )
        tree = {*host.tree()}
        at = host.kill()
        settled = accepted_ends(ledger.moves(run.place))
        cut_off = [
            last.job
            for *_, last in run.count().runs.values()
            if last.pid in tree and (last.job, last.token) not in settled
        ]
        run.until(
            lambda: all(run.is_finished(job) for job in cut_off),
            "the jobs of the dead host elsewhere",
            ceiling=(self.lost + BEYOND) * GENEROUS,
        )
        host.start()
        run.at_work(host)
        return at, tree
