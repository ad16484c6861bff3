"""How much is measured, and what is kept of it."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of one run of the bench."""

    repetitions: int = 5
    dispatched: int = 5_000
    """One by one, each with a commit of its own."""
    bulk: int = 100_000
    drained: int = 100_000
    drained_by_huey: int = 20_000
    """Its rate does not depend on the number, and it takes thirty seconds for 100,000."""
    picked_up: int = 200
    idle_seconds: float = 60.0
    imports: int = 15
    drains: tuple[tuple[str, int, int], ...] = tuple(
        (kind, processes, slots)
        for kind in ("async", "def")
        for processes in (1, 2)
        for slots in (200, 10)
    )


QUICK = Plan(
    repetitions=1,
    dispatched=200,
    bulk=1_000,
    drained=1_000,
    drained_by_huey=200,
    picked_up=10,
    idle_seconds=1.0,
    imports=2,
    drains=(("async", 1, 200), ("def", 2, 10)),
)


class Figures:
    """Every repetition of every figure, by key; the median is what counts."""

    def __init__(self) -> None:
        self.runs: dict[str, list[float]] = defaultdict(list)

    def add(self, key: str, value: float) -> None:
        self.runs[key].append(value)

    def median(self, key: str) -> float | None:
        return statistics.median(self.runs[key]) if key in self.runs else None

    def ratio(self, key: str, other: str) -> float | None:
        """Median of `key` over median of `other`."""
        above, below = self.median(key), self.median(other)
        return above / below if above is not None and below else None


@dataclass(frozen=True)
class Place:
    """A folder for one measurement, and the environment that points the workers at it."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store.sqlite3"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "QUEUE_CONNECTION": "database",
            "DATABASE_URL": f"sqlite:///{self.store}",
            "TABUR_ATTACHMENTS": str(self.folder / "attachments"),
            "BENCH_HUEY": str(self.folder / "huey.sqlite3"),
            "BENCH_LEDGER": str(self.ledger),
        }


@contextlib.contextmanager
def fresh_place() -> Iterator[Place]:
    """An empty place, on the disk of the temporary folder; its environment is ours meanwhile."""
    with tempfile.TemporaryDirectory(prefix="tabur-bench-") as folder:
        place = Place(Path(folder))
        before = dict(os.environ)
        os.environ.update(place.environment)
        try:
            yield place
        finally:
            os.environ.clear()
            os.environ.update(before)
