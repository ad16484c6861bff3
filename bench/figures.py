"""What has been measured: every repetition of every figure, and what went wrong."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Figures:
    """Keys are `store.row.contestant`; the median of a key's values is what counts."""

    runs: dict[str, list[float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """What was being measured, and the error."""
    series: dict[str, list[float]] = field(default_factory=dict)
    """Rates one after the other: a sustained run."""

    def add(self, store: str, row: str, contestant: str, value: float) -> None:
        self.runs.setdefault(f"{store}.{row}.{contestant}", []).append(value)

    def median(self, store: str, row: str, contestant: str) -> float | None:
        values = self.runs.get(f"{store}.{row}.{contestant}")
        return statistics.median(values) if values else None

    def contestants(self, store: str, row: str) -> list[str]:
        """Who has a figure in this row, in the order in which they were measured."""
        start = f"{store}.{row}."
        names = (key.removeprefix(start) for key in self.runs if key.startswith(start))
        return [name for name in names if "." not in name]

    def merge(self, other: Figures) -> None:
        """What `other` has measured replaces what is here, key by key."""
        self.runs.update(other.runs)
        self.series.update(other.series)
        self.failures.update(other.failures)
