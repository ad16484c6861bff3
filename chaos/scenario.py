"""What all scenarios share: a size, checks with their limits, figures."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from chaos.run import Run

#: In a small version, on a machine that does other things beside: how far a time may be from its
#: target. Counts have no such margin.
GENEROUS = 5.0


@dataclass(frozen=True)
class Check:
    what: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.found >= self.limit if self.at_least else self.found <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{self.what}: {self.found:g}, must be {sign} {self.limit:g}"


@dataclass
class Report:
    """What one scenario found on one store."""

    scenario: str
    store: str
    load: str
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, float | str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def broken(self) -> list[Check]:
        return [each for each in self.checks if not each.holds]

    def none(self, what: str, found: int) -> None:
        """A count that must be 0."""
        self.checks.append(Check(what, found, 0))

    def at_most(self, what: str, found: float, limit: float) -> None:
        self.checks.append(Check(what, round(found, 3), limit))

    def at_least(self, what: str, found: float, limit: float) -> None:
        self.checks.append(Check(what, round(found, 3), limit, at_least=True))

    def json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Scenario(ABC):
    """Field values are those of the full version."""

    id: ClassVar[str]
    title: ClassVar[str]
    programs: ClassVar[tuple[str, ...]] = ()
    """What must be installed (`servers.find`)."""

    generosity: float = 1.0

    @classmethod
    @abstractmethod
    def small(cls) -> Self:
        """Seconds long; every count as strict as in full."""

    @abstractmethod
    def lasting(self, minutes: float) -> Self:
        """The full version, in about so long."""

    @abstractmethod
    def run(self, place: Path) -> list[Report]:
        """Runs it in an empty folder; one report for each store."""


def check_effects(report: Report, run: Run) -> None:
    """What must hold whatever was broken: counted from the ledger and held against the store."""
    count = run.count()
    report.none("lost", len(count.lost))
    report.none("doubled", len(count.doubled))
    report.none("stale effects", len(count.stale))
    report.none("attempts spent by faults", len(count.charged))
    report.none("ran, though dispatch said that nothing was sent", len(count.conjured))
    report.none("ran in part, though dispatched in one transaction", count.torn)
    report.none("ran, though nobody dispatched them", len(count.strangers))
    report.none("dispatches with an unclear error", len(count.unclear()))
    report.none("left unfinished in the store", run.unfinished())
    report.none(
        "settled in the store otherwise than they ended", abs(run.completed() - len(count.ended))
    )
    report.none("worker processes that ended", run.exits())
    report.none("tracebacks of workers", sum(each.log.count("Traceback") for each in run.workers))
    report.figures |= {
        "offered": count.offered,
        **{f"dispatch {verdict}": jobs for verdict, jobs in sorted(count.verdicts.items())},
        "slowest dispatch (s)": round(count.slowest_dispatch, 2),
        "ended": len(count.ended),
    }
    for error, times in count.errors.most_common(8):
        report.figures[f"{error}, times"] = times


class Stopwatch:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return round(time.monotonic() - self._began, 1)
