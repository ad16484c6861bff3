"""D1: PostgreSQL is restarted under load, and its back ends are cut off."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from chaos.checks import check_effects
from chaos.counting import SECOND
from chaos.run import Run
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from servers.postgres import PostgresServer

SHARE, WITHIN = 0.95, 10.0  # of the rate before, seconds


@dataclass(frozen=True)
class D1(Scenario):
    """First restarts, each with time to recover; then all connections are cut once a second."""

    id: ClassVar[str] = "D1"
    title: ClassVar[str] = "PostgreSQL restarted at once, its back ends terminated"
    programs: ClassVar[tuple[str, ...]] = ("postgres",)

    rate: float = 2000.0
    processes: int = 2
    dispatchers: int = 2
    restarts: int = 20
    pause: float = 15.0  # seconds from one restart to the next
    cuts: int = 120
    every: float = 1.0  # seconds from one cut to the next
    calm: float = 10.0  # seconds before the first fault and after the last

    @classmethod
    def small(cls) -> Self:
        return cls(
            GENEROUS, rate=200.0, dispatchers=1, restarts=2, pause=4.0, cuts=6, every=0.5, calm=3.0
        )

    def lasting(self, minutes: float) -> Self:
        left = minutes * 60 - 2 * self.calm
        return replace(self, restarts=int(left * 0.7 / self.pause), cuts=int(left * 0.3))

    def run(self, place: Path) -> list[Report]:
        took = Stopwatch()
        load = (
            f"{self.rate:g} jobs/s offered, {self.processes} worker processes, {self.restarts} "
            f"restarts, then back ends cut {self.cuts} times, every {self.every:g} s"
        )
        report = Report(self.id, "PostgreSQL", load)
        with PostgresServer.start() as server, Run(place, server.url()) as run:
            run.work(processes=self.processes)
            for _ in range(self.dispatchers):
                run.dispatch(rate=self.rate / self.dispatchers)
            run.until(lambda: run.pace().first_after(0) < float("inf"), "the first job")
            began = time.monotonic_ns()
            time.sleep(self.calm)
            back = [self._restart(server) for _ in range(self.restarts)]
            cutting = time.monotonic_ns()
            cut = sum(self._cut(server) for _ in range(self.cuts))
            back.append(time.monotonic_ns())
            time.sleep(self.calm)
            run.stop_dispatching()
            end = time.monotonic_ns()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            pace = run.pace()
            usual = pace.usual(began, end)
            ceiling = int(WITHIN * self.generosity * SECOND)
            waits = [
                pace.back_after(at, SHARE * usual, until=min(at + ceiling, end)) for at in back
            ]
            report.at_most(
                f"longest until {SHARE:.0%} of the usual rate is back (s)",
                max(waits),
                WITHIN * self.generosity,
            )
            check_effects(report, run)
            count = run.count()
            report.none("orders without their job, or the reverse", run.orders_astray(count))
            report.figures |= {
                "usual rate (jobs/s)": round(usual),
                "rate while back ends were cut (jobs/s)": round(pace.rate(cutting, back[-1])),
                "back ends cut": cut,
                "until the rate is back, mean (s)": round(sum(waits) / len(waits), 2),
            }
        report.seconds = took()
        return [report]

    def _restart(self, server: PostgresServer) -> int:
        """Answers when it served again."""
        began = time.monotonic()
        server.restart("immediate")
        at = time.monotonic_ns()
        time.sleep(max(0.0, self.pause - (time.monotonic() - began)))
        return at

    def _cut(self, server: PostgresServer) -> int:
        cut = server.terminate_backends()
        time.sleep(self.every)
        return cut
