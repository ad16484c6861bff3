"""R1: Redis is killed, its clients are cut off, and it stands still."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import ClassVar, Self

from chaos.checks import check_effects
from chaos.counting import SECOND
from chaos.ledger import STARTED
from chaos.run import Run
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from servers.redis import RedisServer

WITHIN = 10.0  # seconds
FAULTS = ("kill", "cut", "sleep")
#: Seconds that appendfsync everysec may leave between a write and the disk.
UNSYNCED = 1.0


@dataclass(frozen=True)
class R1(Scenario):
    """Killed (SIGKILL, with the append-only file on), all clients cut (CLIENT KILL), standing still
    (DEBUG SLEEP), in turn. Then, with appendfsync everysec, the power fails: what was not on the
    disk is gone, and what that costs is counted, not judged."""

    id: ClassVar[str] = "R1"
    title: ClassVar[str] = "Redis killed, its clients cut off, standing still"
    programs: ClassVar[tuple[str, ...]] = ("redis-server",)

    rate: float = 2000.0
    processes: int = 2
    faults: int = 50
    calm: float = 2.0  # seconds of work between two faults
    sleep: float = 2.0  # seconds
    power_cuts: int = 5

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, rate=200.0, faults=3, calm=1.0, sleep=0.5, power_cuts=0)

    def lasting(self, minutes: float) -> Self:
        each = self.calm + 3
        return replace(self, faults=int(minutes * 60 * 0.8 / each), power_cuts=3)

    def run(self, place: Path) -> list[Report]:
        reports = [self._faults(place / "always")]
        if self.power_cuts:
            reports.append(self._power_cuts(place / "everysec"))
        return reports

    def _faults(self, place: Path) -> Report:
        place.mkdir()
        took = Stopwatch()
        load = (
            f"{self.rate:g} jobs/s offered, {self.processes} worker processes, {self.faults} times "
            f"one of: kill -9, CLIENT KILL, DEBUG SLEEP {self.sleep:g}; appendfsync always"
        )
        report = Report(self.id, "Redis", load)
        with _server("always") as server, Run(place, server.url()) as run:
            self._begin(run)
            back: list[tuple[str, int]] = []
            for fault in islice(cycle(FAULTS), self.faults):
                time.sleep(self.calm)
                getattr(self, f"_{fault}")(server)
                back.append((fault, time.monotonic_ns()))
                self._wait_for_a_start(run, back[-1][1])
            time.sleep(self.calm)
            self._end(run, report)

            starts = run.pace(STARTED)
            waits = [(fault, starts.first_after(at)) for fault, at in back]
            within = WITHIN * self.generosity
            report.none(
                f"times that it was not consuming again within {within:g} s",
                sum(wait > within for _, wait in waits),
            )
            for fault in FAULTS:
                those = [wait for each, wait in waits if each == fault]
                report.figures[f"longest until a job started after {fault} (s)"] = round(
                    max(those, default=0.0), 2
                )
            check_effects(report, run)
        report.seconds = took()
        return report

    def _power_cuts(self, place: Path) -> Report:
        place.mkdir()
        took = Stopwatch()
        load = f"{self.rate:g} jobs/s, {self.power_cuts} power failures; appendfsync everysec"
        report = Report(self.id, "Redis, everysec", load)
        with _server("everysec") as server, Run(place, server.url()) as run:
            self._begin(run)
            for _ in range(self.power_cuts):
                time.sleep(self.calm)
                written = _append_only_sizes(server)
                time.sleep(UNSYNCED)
                server.kill()
                for file, size in written.items():
                    with file.open("r+b") as content:
                        content.truncate(size)
                server.restart()
                self._wait_for_a_start(run, time.monotonic_ns())
            time.sleep(self.calm)
            self._end(run, report)
            count = run.count()
            costs = {
                "forgotten by the store": len(count.ended | {*count.lost}) - run.completed(),
                "of them lost, since they had not run yet": len(count.lost),
                "ran twice": len(count.doubled),
            }
            for what, jobs in costs.items():
                report.figures[f"{what}, for each second cut off (jobs)"] = round(
                    jobs / self.power_cuts
                )
            report.none("left unfinished in the store", run.unfinished())
            report.none("worker processes that ended", run.exits())
        report.seconds = took()
        return report

    def _begin(self, run: Run) -> None:
        run.work(processes=self.processes)
        run.dispatch(rate=self.rate)
        run.until(lambda: run.pace().first_after(0) < float("inf"), "the first job")

    def _end(self, run: Run, report: Report) -> None:
        run.stop_dispatching()
        report.figures["drained after (s)"] = round(run.drain(), 1)

    def _wait_for_a_start(self, run: Run, since: int) -> None:
        """Until a job has started again, or it is too late for that."""
        ends = since + int(WITHIN * self.generosity * SECOND)
        while time.monotonic_ns() < ends and run.newest_effect() < since:
            time.sleep(0.1)

    def _kill(self, server: RedisServer) -> None:
        server.kill()
        time.sleep(random.uniform(0.0, 1.0))
        server.restart()

    def _cut(self, server: RedisServer) -> None:
        for kind in ("normal", "pubsub"):
            server.ask("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def _sleep(self, server: RedisServer) -> None:
        try:
            server.ask("DEBUG", "SLEEP", str(self.sleep))
        except TimeoutError:
            time.sleep(max(0.0, self.sleep - 5))  # it answers after 5 s or not at all


def _server(appendfsync: str) -> RedisServer:
    return RedisServer.start(
        *("--appendonly", "yes", "--appendfsync", appendfsync),
        *("--enable-debug-command", "yes", "--auto-aof-rewrite-percentage", "0"),
    )


def _append_only_sizes(server: RedisServer) -> dict[Path, int]:
    return {file: file.stat().st_size for file in server.folder.glob("appendonlydir/*.incr.aof")}
