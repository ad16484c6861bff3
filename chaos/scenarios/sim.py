"""SIM: fleets of workers in virtual time, thousands of seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from tabur.testing.simulation.history import Summary

#: Broken seeds that the report names.
TOLD = 10
#: Seeds that one processor gets through in a minute.
A_MINUTE = 1_200


@dataclass(frozen=True)
class Sim(Scenario):
    """The seeds are the same in each run; `first` begins elsewhere."""

    id: ClassVar[str] = "SIM"
    title: ClassVar[str] = "the worker's own code in virtual time, with faults that a seed decides"

    seeds: int = 5_000
    first: int = 1
    processes: int = os.cpu_count() or 1

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, seeds=200)

    def lasting(self, minutes: float) -> Self:
        return replace(self, seeds=max(1, int(minutes * A_MINUTE * self.processes)))

    def run(self, place: Path) -> list[Report]:
        took = Stopwatch()
        report = Report(self.id, "memory", f"seeds {self.first} to {self.first + self.seeds - 1}")
        found = self._simulate()
        broken = [each for each in found if each.broken is not None]
        report.none("seeds in which a promise was broken", len(broken))
        report.none("seeds that were not run", self.seeds - len(found))
        for each in broken[:TOLD]:
            report.figures[f"seed {each.seed}"] = str(each.broken)
        report.times("virtual time from the last fault to the end", [e.drained for e in found])
        report.figures |= {
            "jobs": sum(each.jobs for each in found),
            "runs of jobs": sum(each.runs for each in found),
            "calls of the store": sum(each.calls for each in found),
            "of which without an answer": sum(each.unanswered for each in found),
            "virtual hours": round(sum(each.seconds for each in found) / 3600, 1),
        }
        report.seconds = took()
        report.figures["seeds a second"] = round(len(found) / max(report.seconds, 0.1))
        return [report]

    def _simulate(self) -> list[Summary]:
        """In processes of their own: the code that runs is replaced in part, and not measured."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
        share = -(-self.seeds // self.processes)
        running = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "tabur.testing.simulation", "--json"),
                    *(f"--first={first}", f"--seeds={min(share, self.first + self.seeds - first)}"),
                ],
                env=environment,
                stdout=subprocess.PIPE,
            )
            for first in range(self.first, self.first + self.seeds, share)
        ]
        lines = [line for each in running for line in each.communicate()[0].splitlines()]
        return [msgspec.json.decode(line, type=Summary) for line in lines]
