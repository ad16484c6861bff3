"""The report of a run: a table for people, JSON for comparing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from chaos.scenario import Report

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "chaos" / "results"


def markdown(reports: Sequence[Report]) -> str:
    return "\n".join(line for each in reports for line in _lines(each))


def summary(reports: Sequence[Report]) -> str:
    """One line for each: what was lost, doubled and taken though stale, and how long recovery
    took."""
    lines = [
        "| | store | lost | doubled | stale accepted | recovered: p50 | p95 | max | all holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in reports:
        counts = {check.what: f"{check.found:g}" for check in each.checks}
        cells = [
            each.scenario,
            each.store,
            *(counts.get(what, "") for what in ("lost", "doubled", "stale accepted")),
            *(f"{seconds:.2f} s" for seconds in each.recovery),
            *[""] * (3 - len(each.recovery)),
            "**no**" if each.broken else "yes",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write(reports: Sequence[Report], folder: Path) -> None:
    """`report.md` and `report.json`, in place of those of the run before."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    head = f"{about['when']}, commit {about['commit']}, {about['cores']} cores, Python " + str(
        about["python"]
    )
    (folder / "report.md").write_text(
        f"{head}\n\n{summary(reports)}\n\n{markdown(reports)}\n", "utf-8"
    )
    content = about | {"reports": [asdict(each) for each in reports]}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _lines(report: Report) -> list[str]:
    rows = [
        f"| {check.what} | {check.found:g} | {'≥' if check.at_least else '≤'} {check.limit:g} "
        f"| {'yes' if check.holds else '**no**'} |"
        for check in report.checks
    ]
    figures = [
        f"| {_one_line(what)} | {_one_line(value)} | | |" for what, value in report.figures.items()
    ]
    return [
        f"### {report.scenario}, {report.store}",
        f"{report.load}. Took {report.seconds:g} s.",
        "",
        "| what | found | must be | holds |",
        "|---|---|---|---|",
        *rows,
        *figures,
        "",
    ]


def _one_line(value: object) -> str:
    return " ".join(str(value).replace("|", "/").split())


def _commit() -> str:
    answer = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    return answer.stdout.strip() or "unknown"
