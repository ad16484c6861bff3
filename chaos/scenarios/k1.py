"""K1: worker processes killed at random, one after the other."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import ClassVar, Self

import psutil

from chaos.checks import check_killed, ran_again_after, resumed_after
from chaos.counting import percentile
from chaos.run import Run
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from chaos.workers import Stuck, Workers

WITHIN = 2.0  # seconds


@dataclass(frozen=True)
class K1(OnEachStore):
    """SIGKILL to a child of the supervisor; what it had started of its own dies with it."""

    id: ClassVar[str] = "K1"
    title: ClassVar[str] = "worker processes killed at random"

    rate: float = 200.0
    ms: int = 50  # longest run of a job
    processes: int = 4
    kills: int = 300
    every: float = 2.0  # seconds

    @classmethod
    def small(cls) -> Self:
        # Two kills: a third of the same job, which runs again at once, would put it out of action.
        return cls(GENEROUS, rate=60.0, processes=2, kills=2, every=0.7)

    def lasting(self, minutes: float) -> Self:
        return replace(self, kills=int(minutes * 60 / self.every))

    def load(self, store: Store) -> str:
        return (
            f"{self.rate:g} jobs/s of 1 to {self.ms} ms, {self.processes} worker processes, one of "
            f"them killed every {self.every:g} s, {self.kills} times"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url, watched=True) as run:
            host = run.host(processes=self.processes)
            run.at_work(host)
            feed = run.feed(rate=self.rate, ms=self.ms)
            killed = [kill_one(run, host, after=self.every) for _ in range(self.kills)]
            moments = [at for at, _ in killed]
            run.at_work(host)
            with suppress(Stuck):  # what does not come is for the checks to tell
                run.until(lambda: inf not in resumed_after(run, moments), "work to resume")
            feed.end()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            waits = resumed_after(run, moments)
            report.at_most(
                "work resumes within (s), p95",
                percentile(waits, 0.95),
                WITHIN * self.generosity,
            )
            report.recovered("until work resumes", waits)
            count = check_killed(report, run)
            again = ran_again_after(count, killed)
            report.times("until what was cut off runs again", again)
            report.at_most(
                "what was cut off runs again within (s), p95",
                percentile(again, 0.95) if again else 0.0,
                WITHIN * self.generosity,
            )
            report.none(
                "worker processes that ended without a kill",
                len(run.gone.keys() & _workers(run)) - self.kills,
            )


def kill_one(run: Run, host: Workers, *, after: float) -> tuple[int, set[int]]:
    """After so many seconds, one of its processes with all that it has started. Answers when, and
    which processes this ended."""
    time.sleep(after)
    run.until(host.children, "a process to kill")
    victim = random.choice(host.children())
    below = {each.pid for each in psutil.Process(victim).children(recursive=True)}
    at = time.monotonic_ns()
    os.kill(victim, signal.SIGKILL)
    return at, {victim, *below}


def _workers(run: Run) -> set[int]:
    return {int(file.stem) for file in run.place.glob("*.turns")}
