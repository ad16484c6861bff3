"""U1: many who dispatch jobs of the same unique keys, while transactions are rolled back and
processes killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

from chaos import ledger
from chaos.ledger import DISPATCHED, ENDED, ROLLED_BACK, SKIPPED, STARTED, Effect
from chaos.run import Run
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from chaos.workers import Workers


@dataclass(frozen=True)
class U1(OnEachStore):
    """A job is alive at least from the moment at which its dispatch was answered (or it began)
    until it wrote that it came to its end: of one key no two such spans may meet."""

    id: ClassVar[str] = "U1"
    title: ClassVar[str] = "unique keys, rollbacks and kills"

    keys: int = 100
    rivals: int = 10  # processes that dispatch
    threads: int = 5  # of each of them
    ms: int = 50  # longest run of a job
    processes: int = 4
    seconds: float = 600.0
    every: float = 2.0  # seconds, until another process is killed

    @classmethod
    def small(cls) -> Self:
        return cls(
            GENEROUS, keys=12, rivals=2, threads=3, ms=150, processes=2, seconds=4.0, every=0.9
        )

    def lasting(self, minutes: float) -> Self:
        return replace(self, seconds=minutes * 60)

    def load(self, store: Store) -> str:
        return (
            f"{self.rivals * self.threads} dispatchers of {self.keys} keys, {self.processes} "
            f"worker processes, every {self.every:g} s one of either killed, {self.seconds:g} s"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url) as run:
            host = run.host(processes=self.processes, app="chaos.sole:jobs")
            run.at_work(host)
            rivals = [self._rival(run) for _ in range(self.rivals)]
            for each in rivals:
                _at_work(run, each)
            self._kill_for_a_while(run, host, rivals)
            for each in rivals:
                each.send_signal(signal.SIGTERM)
            report.none("dispatchers that raised", sum(each.wait(60.0) != 0 for each in rivals))
            report.figures["drained after (s)"] = round(run.drain(), 1)
            said = run.python("chaos.sole", f"--keys={self.keys}")
            report.none("keys that were not free in the end", int(said.split()[-1]))
            run.drain()

            report.none("left unfinished in the store", run.unfinished())
            report.none("failed", run.failed())
            _check(report, ledger.effects(place), with_rollbacks=store.is_sql)

    def _rival(self, run: Run) -> subprocess.Popen[bytes]:
        options = (f"--keys={self.keys}", f"--threads={self.threads}", f"--ms={self.ms}")
        return run.start("chaos.sole", *options, log="rivals.log")

    def _kill_for_a_while(
        self, run: Run, host: Workers, rivals: list[subprocess.Popen[bytes]]
    ) -> None:
        """In turn one that dispatches, in whose place comes another, and one that works."""
        ends, turn = time.monotonic() + self.seconds, 0
        while time.monotonic() < ends:
            time.sleep(self.every)
            turn += 1
            if turn % 2:
                victim = rivals.pop(0)
                victim.kill()
                rivals.append(self._rival(run))
                _at_work(run, rivals[-1])
            else:
                run.until(host.children, "a process to kill")
                os.kill(random.choice(host.children()), signal.SIGKILL)


def _at_work(run: Run, rival: subprocess.Popen[bytes]) -> None:
    """Returns when it has dispatched something."""
    run.until((run.place / f"{rival.pid}.effects").exists, "a dispatcher at work")


def _check(report: Report, effects: Sequence[Effect], *, with_rollbacks: bool) -> None:
    noted: dict[int, list[Effect]] = defaultdict(list)
    for each in effects:
        noted[each.what].append(each)
    undone = {each.job for each in noted[ROLLED_BACK]}
    ended = {each.job for each in noted[ENDED]}
    report.none("two alive of one key", _met(noted))
    report.none(
        "skipped for one that was rolled back", sum(each.job in undone for each in noted[SKIPPED])
    )
    report.none("ran, though rolled back", len({each.job for each in noted[STARTED]} & undone))
    report.none(
        "dispatched, and never at an end", len({each.job for each in noted[DISPATCHED]} - ended)
    )
    report.at_least("skipped", len(noted[SKIPPED]), 1)
    if with_rollbacks:
        report.at_least("rolled back", len(undone), 1)
    report.figures |= {
        "dispatched": len(noted[DISPATCHED]),
        "skipped": len(noted[SKIPPED]),
        "rolled back": len(undone),
        "began more than once": len(noted[STARTED]) - len({each.job for each in noted[STARTED]}),
    }


def _met(noted: dict[int, list[Effect]]) -> int:
    """How often a job was alive while another one of its key was."""
    begins: dict[bytes, Effect] = {}
    for each in sorted(noted[DISPATCHED] + noted[STARTED], key=lambda effect: effect.at):
        begins.setdefault(each.job, each)
    ends = {each.job: each.at for each in noted[ENDED]}  # of several the last
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for job, begin in begins.items():
        spans[begin.number].append((begin.at, ends.get(job, begin.at)))
    return sum(
        later[0] < before[1]
        for those in spans.values()
        for before, later in pairwise(sorted(those))
    )
