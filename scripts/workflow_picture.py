"""Writes docs/images/workflow.svg: the workflow of docs/workflows.md, with one step failed.

`python scripts/workflow_picture.py` writes; with `--check` it only says whether it is current.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tabur.jobs.composing.drawing import Drawn, svg_of
from tabur.model.states import State

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "workflow.svg"


def current() -> str:
    return svg_of(
        "nightly",
        [
            Drawn("customers", "customers(day=1)", (), State.COMPLETED),
            Drawn("orders", "orders(day=1)", (), State.COMPLETED),
            Drawn("parts", "3 × convert", ("orders",), State.COMPLETED),
            Drawn("audit", "audit(day=1)", ("customers",), State.PROCESSING),
            Drawn("join", "join()", ("customers", "parts"), State.FAILED),
            Drawn("report", "report(day=1)", ("join",), State.CANCELLED),
        ],
    )


if __name__ == "__main__":
    if "--check" in sys.argv:
        current_now = PICTURE.read_text(encoding="utf-8") == current()
        sys.exit(0 if current_now else f"{PICTURE.name} is not current: run {sys.argv[0]}")
    PICTURE.write_text(current(), encoding="utf-8")
