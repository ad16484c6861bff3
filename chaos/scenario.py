"""What all scenarios share: a size, checks with their limits, figures."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from chaos.counting import percentile
from chaos.stores import PROGRAMS, STORES, Store, opened

#: In a small version, on a machine that does other things beside: how far a time may be from its
#: target. Counts have no such margin.
GENEROUS = 5.0


class LeftOut(Exception):
    """A scenario cannot be run here: says why."""


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
    recovery: tuple[float, ...] = ()
    """Seconds: p50, p95, max."""

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

    def recovered(self, what: str, seconds: Sequence[float]) -> None:
        """The recovery times of this scenario."""
        self.recovery = self._times(what, seconds)

    def times(self, what: str, seconds: Sequence[float]) -> None:
        """Others, as figures."""
        self._times(what, seconds)

    def _times(self, what: str, seconds: Sequence[float]) -> tuple[float, ...]:
        shares = {"p50": 0.5, "p95": 0.95, "max": 1.0}
        found = {name: round(percentile(seconds, share), 2) for name, share in shares.items()}
        self.figures[f"{what}: how many"] = len(seconds)
        self.figures |= {f"{what}: {name} (s)": value for name, value in found.items()}
        return tuple(found.values())


@dataclass(frozen=True)
class Scenario(ABC):
    """Field values are those of the full version."""

    id: ClassVar[str]
    title: ClassVar[str]
    programs: ClassVar[tuple[str, ...]] = ()
    """What must be installed (`servers.find`)."""

    generosity: float = 1.0

    @property
    def needs(self) -> tuple[str, ...]:
        return self.programs

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


@dataclass(frozen=True)
class OnEachStore(Scenario):
    """The same on several stores, one after the other."""

    also: ClassVar[tuple[str, ...]] = ()
    """What must be installed beside the stores."""

    stores: tuple[str, ...] = STORES
    beat: float = 5.0
    lost: float = 30.0
    """Seconds, of all workers; the library's own."""

    @property
    def environment(self) -> dict[str, str]:
        return {"TABUR_BEAT": str(self.beat), "TABUR_LOST": str(self.lost)}

    @property
    def needs(self) -> tuple[str, ...]:
        return (*(each for store in self.stores for each in PROGRAMS[store]), *self.also)

    def run(self, place: Path) -> list[Report]:
        reports = []
        for name in self.stores:
            folder = place / name
            folder.mkdir()
            with opened(name, folder) as store:
                reports.append(self.on(store, folder))
        return reports

    def on(self, store: Store, place: Path) -> Report:
        """Runs it on one empty store, with its files in an empty folder."""
        took = Stopwatch()
        report = Report(self.id, store.name, self.load(store))
        self.break_it(report, store, place)
        report.seconds = took()
        return report

    @abstractmethod
    def load(self, store: Store) -> str:
        """What is done, for the report."""

    @abstractmethod
    def break_it(self, report: Report, store: Store, place: Path) -> None: ...


class Stopwatch:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return round(time.monotonic() - self._began, 1)
