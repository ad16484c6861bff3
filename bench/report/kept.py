"""A run of the bench as it is kept: figures, machine, versions, settings."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.contestants import Contestant
from bench.figures import Figures
from bench.plan import Plan
from bench.stores import Store

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "bench" / "results"


@dataclass
class Kept:
    path: Path
    machine: dict[str, Any]
    plan: dict[str, Any]
    figures: Figures
    stores: dict[str, dict[str, str]] = field(default_factory=dict)
    """By name: title, version, durability."""
    rivals: dict[str, dict[str, str]] = field(default_factory=dict)
    """By store: who was measured there, with version and settings."""
    took: dict[str, float] = field(default_factory=dict)
    """Seconds of each part."""


def begin(plan: Plan, figures: Figures) -> Kept:
    where = _machine()
    path = RESULTS / f"{where['measured'][:19].replace(':', '')}.json"
    return Kept(path, where, asdict(plan), figures)


def remember(kept: Kept, store: Store, contestants: Iterable[Contestant]) -> None:
    kept.stores[store.name] = {
        "title": store.title,
        "version": store.version(),
        "durability": store.durability,
        "counts": store.counts,
    }
    kept.rivals[store.name] = {
        each.name: f"{', '.join(_versions(each))}: {each.stores[store.name].settings}"
        for each in contestants
        if each.requirements
    }


def write(kept: Kept) -> None:
    """Whole or not at all: a run may be cut short at any moment."""
    RESULTS.mkdir(exist_ok=True)
    content = {**asdict(kept), "path": None}
    beside = kept.path.with_suffix(".part")
    beside.write_text(json.dumps(content, indent=1) + "\n")
    beside.replace(kept.path)


def read(paths: Sequence[Path]) -> Kept:
    """Several runs as one: a later one's figures replace an earlier one's."""
    whole: Kept | None = None
    for path in paths:
        content = json.loads(path.read_text())
        content["figures"] = Figures(**content["figures"])
        run = Kept(**{**content, "path": path})
        if whole is None:
            whole = run
            continue
        whole.figures.merge(run.figures)
        whole.stores.update(run.stores)
        whole.took.update(run.took)
        for store, rivals in run.rivals.items():
            whole.rivals.setdefault(store, {}).update(rivals)
    assert whole is not None
    return whole


def _versions(contestant: Contestant) -> list[str]:
    """As pinned; the first two say what it is."""
    pinned = [each for each in contestant.requirements if "==" in each]
    return [each.replace("==", " ") for each in pinned[:2]]


def _machine() -> dict[str, Any]:
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
        "commit": _commit(),
        "clients": {
            name: found
            for name in ("sqlalchemy", "psycopg", "PyMySQL", "redis", "hiredis")
            if (found := _version(name))
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


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
