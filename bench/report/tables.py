"""Tables in Markdown: one for each store, and one of what is lost."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Figures
from bench.report.kept import Kept
from bench.report.rows import ROWS, Row

REACHED = {None: "", True: "yes", False: "**no**"}


def store_table(kept: Kept, store: str) -> str:
    """Ours first, the others beside it with our multiple of theirs; where a rival is better, its
    cell is bold."""
    figures = kept.figures
    others = _others(figures, store)
    told: set[str] = set()  # figures of others that stand beside several of ours
    lines = [
        f"| what | Tabur | {''.join(f'{name} | ' for name in others)}target | reached |",
        f"|---|---|{'---|' * len(others)}---|---|",
    ]
    for row in ROWS:
        ours = row.of(figures, store, "tabur")
        cells = [_cell(figures, store, row, name) for name in others]
        if ours is None and (not any(cells) or row.beside in told):
            continue
        told |= {row.beside} - {""}
        lines.append(
            f"| {row.title} | {number(ours)}{f' {row.unit}' if ours is not None else ''}"
            f" | {''.join(f'{cell} | ' for cell in cells)}"
            f"{row.target(store) or ''} | {REACHED[row.reached(figures, store)]} |"
        )
    return "\n".join(lines)


def lost(kept: Kept) -> list[str]:
    """One line for each figure in which a rival is better, and each target that is missed."""
    figures = kept.figures
    found = []
    for store, about in kept.stores.items():
        for row in ROWS:
            ours = row.of(figures, store, "tabur")
            better = [name for name in _others(figures, store) if row.lost(figures, store, name)]
            missed = row.reached(figures, store) is False
            if ours is None or not (better or missed):
                continue
            beside = ", ".join(f"{name} {number(row.of(figures, store, name))}" for name in better)
            target = f"target {row.target(store)}" if missed else ""
            why = "; ".join(part for part in (beside, target) if part)
            title = f"{_above(row)} {row.title}".strip()
            found.append(f"- {about['title']}: {title}: {number(ours)} {row.unit} ({why})")
    return found


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def _above(row: Row) -> str:
    """The title of what a line that begins with dots belongs to."""
    if not row.title.startswith("…"):
        return ""
    before = ROWS[: ROWS.index(row)]
    return next(each.title for each in reversed(before) if not each.title.startswith("…"))


def _others(figures: Figures, store: str) -> list[str]:
    """The bare loop, then the rivals by name."""
    names = {name for row in ROWS for name in figures.contestants(store, row.beside or row.key)}
    return sorted(names - {"tabur"}, key=lambda name: (name != "bare", name))


def _cell(figures: Figures, store: str, row: Row, name: str) -> str:
    theirs, ours = row.of(figures, store, name), row.of(figures, store, "tabur")
    if theirs is None:
        return ""
    if ours is None or not theirs:
        return number(theirs)
    text = f"{number(theirs)} (× {ours / theirs:.2f})"
    return f"**{text}**" if row.lost(figures, store, name) else text


def failures(kept: Kept) -> Iterator[str]:
    for what, error in kept.figures.failures.items():
        yield f"- {what}: {' '.join(error.split())[:200]}"
