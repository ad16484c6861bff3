"""G1: a fleet that is restarted again and again, as a deployment does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos.checks import check_jobs
from chaos.feeding import Brought
from chaos.run import Run
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from chaos.workers import Workers
from tabur.model.states import Isolation


@dataclass(frozen=True)
class G1(OnEachStore):
    """In turn: `queue:restart`, which ends all of them, and SIGTERM, one after the other. Who ends
    is started again, as systemd does. Each time some jobs run that take longer than the rest."""

    id: ClassVar[str] = "G1"
    title: ClassVar[str] = "a fleet restarted again and again"

    rate: float = 1000.0
    ms: int = 50  # longest run of most jobs
    long_ms: int = 3000
    long: int = 8
    """How many of the long ones run at each restart."""
    fleet: int = 4
    rounds: int = 25
    """Of each round every worker is restarted once."""
    every: float = 10.0  # seconds
    at_once: bool = False
    """SIGTERM comes to all at once, in place of one after the other."""

    @classmethod
    def small(cls) -> Self:
        return cls(
            GENEROUS, rate=60.0, long_ms=700, long=4, fleet=2, rounds=2, every=0.0, at_once=True
        )

    def lasting(self, minutes: float) -> Self:
        return replace(self, rounds=max(2, int(minutes * 60 / self.every)))

    def load(self, store: Store) -> str:
        return (
            f"{self.rate:g} jobs/s of 1 to {self.ms} ms, {self.fleet} workers, restarted "
            f"{self.rounds * self.fleet} times by queue:restart and SIGTERM"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url, environment=self.environment) as run:
            fleet = [run.host(slots=50) for _ in range(self.fleet)]
            run.at_work(*fleet)
            feed = run.feed(rate=self.rate, ms=self.ms)
            ends: list[_End] = []
            for turn in range(self.rounds):
                began = time.monotonic()
                self._bring_long(run)
                if turn % 2 == 0:
                    ends += self._restart_all(run, fleet)
                else:
                    for part in (fleet,) if self.at_once else [[worker] for worker in fleet]:
                        ends += self._terminate(run, part)
                time.sleep(max(0.0, self.every - (time.monotonic() - began)))
            brought = feed.end()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            count = run.count()
            check_jobs(report, run, count)
            report.none("doubled", len(count.doubled))
            report.none("stale effects", len(count.stale))
            report.none("ran again", len(count.repeated))
            report.none("failed", run.failed())
            report.none("ended with a code other than 0", sum(each.code != 0 for each in ends))
            report.at_least("restarts", len(ends), self.rounds * self.fleet)
            report.figures["brought by the feed"] = brought
            report.times("until it has ended", [each.ended for each in ends])
            report.recovered("until it is back at work", [each.back for each in ends])

    def _bring_long(self, run: Run) -> None:
        numbers = [n for n in run.numbers(2 * self.long + 50) if n % 50][: self.long]
        for number in numbers:
            heavy = number % 2 == 0
            kind = ("heavy", Isolation.THREAD) if heavy else ("light", Isolation.LOOP)
            run.bring([Brought(*kind, number, {"ms": self.long_ms})])

    def _restart_all(self, run: Run, fleet: Sequence[Workers]) -> list[_End]:
        asked = time.monotonic()
        run.tabur("queue:restart")
        return self._begin_again(run, fleet, asked)

    def _terminate(self, run: Run, fleet: Sequence[Workers]) -> list[_End]:
        asked = time.monotonic()
        for worker in fleet:
            worker.terminate()
        return self._begin_again(run, fleet, asked)

    def _begin_again(self, run: Run, fleet: Sequence[Workers], asked: float) -> list[_End]:
        """Each as soon as it has ended."""
        waiting = [*fleet]
        ends: list[_End] = []
        while waiting:
            run.until(lambda: any(each.has_left for each in waiting), "a worker to end")
            for worker in [each for each in waiting if each.has_left]:
                waiting.remove(worker)
                ended = time.monotonic()
                ends.append(_End(worker, asked, worker.ended(), ended - asked))
                worker.start()
        return [each.at_work(run) for each in ends]


@dataclass(frozen=True)
class _End:
    """Moments in seconds: `ended` from when it was asked for, `back` until it worked again."""

    worker: Workers
    asked: float
    code: int
    ended: float
    back: float = 0.0

    def at_work(self, run: Run) -> _End:
        run.at_work(self.worker)
        return replace(self, back=time.monotonic() - self.asked)
