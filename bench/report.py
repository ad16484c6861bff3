"""Turns figures into a table with ratios and targets, for the terminal and for docs/bench.md."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.plan import Figures, Plan

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the table: our figure, what stands beside it, and what it should reach."""

    title: str
    key: str
    unit: str
    bare: str | None = None
    huey: str | None = None
    target: str = ""
    reached: Callable[[Figures], bool] | None = None


def at_least(key: str, value: float) -> Callable[[Figures], bool]:
    return lambda figures: (figures.median(key) or 0) >= value


def at_most(key: str, value: float) -> Callable[[Figures], bool]:
    return lambda figures: (figures.median(key) or 0) <= value


def times(key: str, other: str, factor: float) -> Callable[[Figures], bool]:
    return lambda figures: (figures.ratio(key, other) or 0) >= factor


def both(*parts: Callable[[Figures], bool]) -> Callable[[Figures], bool]:
    return lambda figures: all(part(figures) for part in parts)


def lines(figures: Figures) -> Iterator[Line]:
    one = "dispatch.one.tabur"
    yield Line(
        title="dispatch one by one",
        key=one,
        unit="jobs/s",
        bare="dispatch.one.bare",
        huey="dispatch.one.huey",
        target="≥ 65 % of bare, ≥ huey",
        reached=both(times(one, "dispatch.one.bare", 0.65), times(one, "dispatch.one.huey", 1.0)),
    )
    yield Line(
        title="dispatch many in one transaction",
        key="dispatch.many.tabur",
        unit="jobs/s",
        bare="dispatch.many.bare",
        target="≥ 80,000",
        reached=at_least("dispatch.many.tabur", 80_000),
    )
    targets = {"drain.async.1x200": (25_000, 6), "drain.def.1x200": (15_000, 4)}
    for key in (key for key in figures.runs if key.startswith("drain.") and key.count(".") == 2):
        if key.startswith("drain.huey"):
            continue
        _, kind, size = key.split(".")
        processes, _, slots = size.partition("x")
        huey = f"drain.huey.{processes}"
        rate, factor = targets.get(key, (0, 0))
        yield Line(
            title=f"drain, {kind}, {processes} process{'es' * (processes != '1')}, {slots} slots",
            key=key,
            unit="jobs/s",
            bare="drain.bare",
            huey=huey,
            target=f"≥ {rate:,}, ≥ {factor} × huey" if rate else "",
            reached=both(at_least(key, rate), times(key, huey, factor)) if rate else None,
        )
        yield Line(title="… CPU a job", key=f"{key}.cpu", unit="µs", huey=f"{huey}.cpu")
    for kind in ("async", "def"):
        for percent, ceiling in ((50, 2.0), (95, None), (99, 8.0)):
            key = f"pickup.{kind}.p{percent}"
            yield Line(
                title=f"pick-up when idle, {kind}, p{percent}",
                key=key,
                unit="ms",
                huey=f"pickup.huey.p{percent}",
                target=f"≤ {ceiling:g}" if ceiling else "",
                reached=at_most(key, ceiling) if ceiling else None,
            )
    yield Line(
        title="CPU of an idle worker, all its processes",
        key="idle.all",
        unit="% of a core",
        target="≤ 0.5",
        reached=at_most("idle.all", 0.5),
    )
    for role in ("supervisor", "child", "helper"):
        yield Line(title=f"… {role}", key=f"idle.{role}", unit="% of a core")
    yield Line(
        title="memory of a child, resident",
        key="memory.child.rss",
        unit="MB",
        target="≤ 60",
        reached=at_most("memory.child.rss", 60),
    )
    yield Line(title="… its own (USS)", key="memory.child.uss", unit="MB")
    yield Line(title="memory of the supervisor, resident", key="memory.supervisor.rss", unit="MB")
    yield Line(title="… its own (USS)", key="memory.supervisor.uss", unit="MB")
    yield Line(
        title="import tabur",
        key="import.tabur",
        unit="ms",
        target="≤ 100",
        reached=at_most("import.tabur", 100),
    )


def table(figures: Figures) -> str:
    rows = [
        "| what | Tabur | bare sqlite3 | huey | target | reached |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines(figures):
        value = figures.median(line.key)
        if value is None:
            continue
        reached = "" if line.reached is None else "yes" if line.reached(figures) else "**no**"
        rows.append(
            f"| {line.title} | {number(value)} {line.unit} | {beside(figures, line.key, line.bare)}"
            f" | {beside(figures, line.key, line.huey)} | {line.target} | {reached} |"
        )
    return "\n".join(rows)


def beside(figures: Figures, key: str, other: str | None) -> str:
    """Their figure, and ours as a multiple of it."""
    ratio = figures.ratio(key, other) if other else None
    theirs = figures.median(other) if other else None
    return f"{number(theirs)} (× {ratio:.2f})" if ratio is not None and theirs else ""


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def machine() -> dict[str, Any]:
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
        "huey": version("huey"),
        "commit": _commit(),
    }


def heading(plan: Plan, where: dict[str, Any]) -> str:
    return (
        f"Medians of {plan.repetitions}, {where['measured']}, commit {where['commit']}: "
        f"{where['cores']} cores ({where['processor']}), Python {where['python']}, "
        f"SQLite {where['sqlite']}, huey {where['huey']}; load before: {where['load'][0]}. "
        "WAL and synchronous=FULL for all three. In brackets: Tabur's figure as a multiple.\n"
    )


def write(plan: Plan, figures: Figures, where: dict[str, Any]) -> Path:
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{where['measured'][:19].replace(':', '')}.json"
    content = {"machine": where, "plan": asdict(plan), "runs": figures.runs}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def write_docs(text: str) -> None:
    """Replaces the block between the two marks in docs/bench.md."""
    path = ROOT / "docs" / "bench.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    return answer.stdout.strip() or "unknown"
