"""Y1: workers of the version before and of this one, on one schema."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos import ledger
from chaos.checks import check_killed
from chaos.feeding import mixed
from chaos.ledger import STARTED
from chaos.run import ROOT, Run
from chaos.scenario import GENEROUS, LeftOut, OnEachStore, Report
from chaos.stores import Store
from chaos.workers import Workers

#: The last commit before this version's schema.
BEFORE = "834ffa1"


@dataclass(frozen=True)
class Y1(OnEachStore):
    """A rolling deployment: workers of the version before are at work when this one migrates the
    schema and begins; a process of this one dies, which leaves what the one before does not know;
    in the end `queue:restart` ends them all, and only those of this version are started again.
    Applications of both versions dispatch, some with a delay."""

    id: ClassVar[str] = "Y1"
    title: ClassVar[str] = "workers of two versions on one schema"

    rate: float = 150.0  # of each of the two
    ms: int = 50  # longest run of a job
    processes: int = 2  # of each of the two
    rounds: int = 20
    calm: float = 10.0  # seconds of work before each death of a process

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, rate=60.0, processes=1, rounds=1, calm=0.5)

    def lasting(self, minutes: float) -> Self:
        return replace(self, rounds=max(1, int(minutes * 60 / self.calm)))

    def load(self, store: Store) -> str:
        return (
            f"{self.processes} worker processes of {BEFORE} and as many of this version, and an "
            f"application of each that dispatches {self.rate:g} jobs/s of 1 to {self.ms} ms; a "
            f"process of the new ones killed {self.rounds} times"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        before = {"PYTHONPATH": str(_unpacked(place / "before"))}
        with Run(place, store.url, environment=self.environment, watched=True, empty=True) as run:
            run.tabur("migrate", environment=before)
            old = run.host(processes=self.processes, environment=before)
            run.dispatch(environment=before, rate=self.rate, ms=self.ms)
            run.at_work(old)
            run.tabur("migrate")
            new = run.host(processes=self.processes)
            feed = run.feed(rate=self.rate, ms=self.ms, books=False)
            run.at_work(new)
            for _ in range(self.rounds):
                time.sleep(self.calm)
                self._kill_one(run, new)
                run.at_work(old, new)
            read = run.python("chaos.reader", environment=before)
            feed.end()
            run.stop_dispatching()
            run.tabur("queue:restart")
            codes = [old.ended(), new.ended()]
            new.start()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            count = check_killed(report, run)
            report.at_least("jobs that a death has cut off", len(count.repeated), self.rounds)
            report.none("ended with a code other than 0", sum(map(bool, codes)))
            by_host = _starts(run)
            for host, version in ((old, "the one before"), (new, "this one")):
                report.at_least(f"jobs run by {version}", by_host[host.host], 1)
            report.figures["read by the one before: jobs, attempts"] = " ".join(read.split()[-2:])

    def _kill_one(self, run: Run, new: Workers) -> None:
        """While it runs something."""
        # The one before cannot book; what waits for its time is promoted by either.
        run.bring(mixed(run.numbers(20), ms=500, books=False))
        run.bring(mixed(run.numbers(20), ms=50, books=False, delay=1.0))
        busy: list[int] = []

        def is_busy() -> bool:
            busy[:] = [pid for pid in new.children() if ledger.running(run.place, pid) > 0]
            return bool(busy)

        run.until(is_busy, "a process to kill while it runs something")
        os.kill(random.choice(busy), signal.SIGKILL)


def _unpacked(place: Path) -> Path:
    """The package as it was; raises LeftOut where this is no checkout with its history."""
    place.mkdir()
    archive = place / "src.tar"
    made = subprocess.run(
        ["git", "archive", f"--output={archive}", BEFORE, "src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise LeftOut(f"The version before ({BEFORE}) is not in this checkout: {made.stderr}")
    subprocess.run(["tar", "-xf", archive, "-C", place], check=True)
    return place / "src"


def _starts(run: Run) -> Mapping[str, int]:
    """How many runs began on each host."""
    processes = ledger.processes(run.place)
    return Counter(
        processes[each.pid].host
        for each in ledger.effects(run.place)
        if each.what == STARTED and each.pid in processes
    )
