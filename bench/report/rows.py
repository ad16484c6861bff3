"""The lines of the tables: what each tells, what stands beside it, what is to be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.figures import Figures

BESIDE_US = ("bare", "tabur")  # who is no rival


@dataclass(frozen=True, kw_only=True)
class Target:
    """All that is given must hold."""

    least: float | None = None
    most: float | None = None
    of_bare: float | None = None
    """Share of the bare loop."""
    of_rivals: float | None = None
    """Multiple of the best rival."""

    def __str__(self) -> str:
        parts = (
            f"≥ {self.least:,g}" if self.least is not None else "",
            f"≤ {self.most:,g}" if self.most is not None else "",
            f"≥ {self.of_bare:.0%} of bare" if self.of_bare else "",
            f"≥ {self.of_rivals:g} × the best rival" if self.of_rivals else "",
        )
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Row:
    key: str
    title: str
    unit: str
    beside: str = ""
    """The row in which others have their figure; ours where it is empty."""
    less: bool = False
    """Less is better."""
    targets: Mapping[str, Target] = field(default_factory=dict)
    """By store; `*` for all."""

    def target(self, store: str) -> Target | None:
        return self.targets.get(store, self.targets.get("*"))

    def of(self, figures: Figures, store: str, contestant: str) -> float | None:
        if contestant == "tabur":
            return _derived(figures, store, self.key) or figures.median(store, self.key, "tabur")
        return figures.median(store, self.beside or self.key, contestant)

    def lost(self, figures: Figures, store: str, contestant: str) -> bool:
        """Whether this rival is better than we are."""
        ours, theirs = self.of(figures, store, "tabur"), self.of(figures, store, contestant)
        if ours is None or theirs is None or contestant in BESIDE_US:
            return False
        return theirs < ours if self.less else theirs > ours

    def reached(self, figures: Figures, store: str) -> bool | None:
        """None where there is no target, or nothing to compare with."""
        target, ours = self.target(store), self.of(figures, store, "tabur")
        if target is None or ours is None:
            return None
        rivals = [
            theirs
            for name in figures.contestants(store, self.beside or self.key)
            if name not in BESIDE_US and (theirs := self.of(figures, store, name)) is not None
        ]
        bare = self.of(figures, store, "bare")
        return not (
            (target.least is not None and ours < target.least)
            or (target.most is not None and ours > target.most)
            or (target.of_bare and bare and ours < target.of_bare * bare)
            or (target.of_rivals and rivals and ours < target.of_rivals * max(rivals))
        )


def _derived(figures: Figures, store: str, key: str) -> float | None:
    """What is made of two other rows, in percent."""
    if key not in DERIVED:
        return None
    above, below = DERIVED[key]
    sums = [[figures.median(store, row, "tabur") for row in rows] for rows in (above, below)]
    over, under = (sum(value for value in values if value is not None) for values in sums)
    if any(values[0] is None for values in sums) or not under:
        return None
    return over / under * 100


ONE, TWO = "drain.async.1x200", "drain.async.2x200"
BATCH = "drain.batch.1x200"
DERIVED = {
    "batch.rate": ((BATCH,), (ONE,)),
    "two.rate": ((TWO,), (ONE,)),
    "two.cpu": ((f"{TWO}.cpu", f"{TWO}.server"), (f"{ONE}.cpu", f"{ONE}.server")),
}


def _drain(key: str, title: str, beside: str, **targets: Target) -> list[Row]:
    return [
        Row(key=key, title=title, unit="jobs/s", beside=beside, targets=targets),
        Row(
            key=f"{key}.cpu",
            title="… CPU of the worker",
            unit="µs",
            beside=f"{beside}.cpu",
            less=True,
        ),
        Row(
            key=f"{key}.server",
            title="… CPU of the server",
            unit="µs",
            beside=f"{beside}.server",
            less=True,
        ),
    ]


def _depth(standing: str, title: str) -> list[Row]:
    return [
        Row(key=f"depth.{standing}", title=f"claim and settle, {title}", unit="jobs/s"),
        Row(
            key=f"depth.{standing}.kept",
            title="… of an empty store's rate, in turns",
            unit="%",
            targets={"*": Target(least=80)},
        ),
        Row(
            key=f"depth.{standing}.p99",
            title="… a claim of 200, p99",
            unit="ms",
            less=True,
            targets={"*": Target(most=10)},
        ),
    ]


ROWS: list[Row] = [
    Row(
        key="dispatch.one",
        title="dispatch one by one",
        unit="jobs/s",
        targets={"*": Target(of_bare=0.65, of_rivals=1.0)},
    ),
    Row(
        key="dispatch.many",
        title="dispatch many",
        unit="jobs/s",
        targets={
            "sqlite": Target(least=80_000),
            "postgres": Target(least=60_000),
            "redis": Target(least=60_000),
        },
    ),
    *_drain(
        ONE,
        "drain, async, 1 process, 200 slots",
        "drain.1",
        sqlite=Target(least=25_000, of_rivals=6),
        postgres=Target(least=20_000, of_rivals=1.5),
        mariadb=Target(least=10_000),
        redis=Target(least=20_000, of_rivals=5),
    ),
    *_drain(TWO, "drain, async, 2 processes, 200 slots", "drain.2"),
    Row(
        key="two.rate",
        title="… rate, of one process",
        unit="%",
        targets={name: Target(least=120) for name in ("postgres", "mariadb", "redis")},
    ),
    Row(
        key="two.cpu",
        title="… CPU a job with the server, of one process",
        unit="%",
        less=True,
        targets={name: Target(most=125) for name in ("postgres", "mariadb", "redis")},
    ),
    *_drain("drain.async.1x10", "drain, async, 1 process, 10 slots", "drain.1"),
    *_drain(
        "drain.def.1x200",
        "drain, def, 1 process, 200 slots",
        "drain.1",
        sqlite=Target(least=15_000, of_rivals=4),
    ),
    *_drain(BATCH, "drain, async in a batch, 1 process, 200 slots", "drain.batch"),
    Row(
        key="batch.rate",
        title="… rate, of one without a batch",
        unit="%",
        targets={"*": Target(least=85)},
    ),
    *(
        Row(
            key=f"pickup.p{percent}",
            title=f"pick-up when idle, p{percent}",
            unit="ms",
            less=True,
            targets=targets,
        )
        for percent, targets in (
            (
                50,
                {
                    "sqlite": Target(most=2),
                    "postgres": Target(most=2),
                    "mariadb": Target(most=10),
                    "redis": Target(most=1.2),
                },
            ),
            (95, {}),
            (
                99,
                {"sqlite": Target(most=8), "postgres": Target(most=6), "redis": Target(most=4)},
            ),
        )
    ),
    Row(key="pickup.late.p50", title="pick-up after 12 s of idleness, p50", unit="ms", less=True),
    Row(
        key="pickup.late.max",
        title="… the slowest of six",
        unit="ms",
        less=True,
        targets={"*": Target(most=550)},
    ),
    Row(
        key="idle.cpu",
        title="CPU of an idle worker, all its processes",
        unit="% of a core",
        less=True,
        targets={"*": Target(most=0.5)},
    ),
    Row(
        key="idle.statements",
        title="… what it asks the store",
        unit="a second",
        less=True,
        targets={"*": Target(most=2)},
    ),
    Row(
        key="memory.child",
        title="memory of a child, resident",
        unit="MB",
        less=True,
        targets={"*": Target(most=70)},
    ),
    Row(key="memory.all", title="… all processes, their own (USS)", unit="MB", less=True),
    Row(key="depth.empty", title="claim and settle through the driver, empty", unit="jobs/s"),
    Row(key="depth.empty.p99", title="… a claim of 200, p99", unit="ms", less=True),
    *_depth("pending", "a million pending"),
    *_depth("finished", "a million finished"),
    *_depth("scheduled", "a million scheduled, a million finished"),
    Row(key="sustained.first", title="dispatch and drain at once, first minute", unit="jobs/s"),
    Row(key="sustained.last", title="… last minute", unit="jobs/s"),
    Row(
        key="sustained.kept",
        title="… of the first minute",
        unit="%",
        targets={"*": Target(least=80)},
    ),
    Row(
        key="import",
        title="import tabur",
        unit="ms",
        less=True,
        targets={"*": Target(most=100)},
    ),
]
