"""Writes the table of states and moves into docs/states.md, from the one that the code uses.

`python scripts/states_table.py` writes; with `--check` it only says whether the page is current.
"""

import sys
from pathlib import Path

from tabur.model.states import MOVES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "states.md"
BEGIN, END = "<!-- states: begin -->\n", "<!-- states: end -->\n"


def table() -> str:
    rows = [f"| {source} | {target} | {reason} |" for (source, target), reason in MOVES.items()]
    return "\n".join(["| from | to | when |", "|---|---|---|", *rows]) + "\n"


def current(page: str) -> str:
    """`page` with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    wanted = current(text)
    if "--check" in sys.argv:
        sys.exit(0 if text == wanted else f"{PAGE.name} is not current: run {sys.argv[0]}")
    PAGE.write_text(wanted, encoding="utf-8")
