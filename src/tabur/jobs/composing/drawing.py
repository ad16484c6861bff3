"""Drawings of a workflow: as text, and as a picture (SVG 1.1) by our own small code."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import mean

import msgspec

from tabur.model.states import State


class Drawn(msgspec.Struct, frozen=True):
    """A step to be drawn. `state` None: it has not been dispatched, or is not known any more."""

    name: str
    label: str
    after: tuple[str, ...]
    state: State | None = None


#: Each state by a mark too: who sees no colours, or reads a terminal, is told the same.
MARKS: dict[State | None, str] = {
    None: "○",
    State.SCHEDULED: "◷",
    State.BLOCKED: "○",
    State.PENDING: "◌",
    State.PROCESSING: "▶",
    State.COMPLETED: "✔",
    State.FAILED: "✘",
    State.CANCELLED: "⊘",
}


def text_of(steps: Sequence[Drawn]) -> str:
    """One line a step: mark, name, state, what it runs, what it waits for."""
    named = max((len(each.name) for each in steps), default=0)
    stated = max((len(each.state or "") for each in steps), default=0)
    lines = []
    for each in steps:
        state = f"  {each.state or '':<{stated}}" if stated else ""
        after = f"  after {', '.join(each.after)}" if each.after else ""
        lines.append(f"{MARKS[each.state]} {each.name:<{named}}{state}  {each.label}{after}")
    return "\n".join(lines) + "\n"


#: Of a box, and of the space between boxes, in pixels.
_WIDTH, _HEIGHT, _ACROSS, _DOWN, _MARGIN = 200, 54, 70, 22, 16
#: Characters that fit into a box: of a name, and of the smaller line below.
_NAME, _LABEL = 20, 30


def svg_of(title: str, steps: Sequence[Drawn]) -> str:
    """From left to right: each step stands right of all that it waits for."""
    graph = _Graph(steps)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" '
        f'viewBox="0 0 {graph.width} {graph.height}" width="{graph.width}" '
        f'height="{graph.height}" role="img" aria-label="{escape(title)}">'
    )
    described = f"<title>{escape(title)}</title>\n<desc>{escape(text_of(steps))}</desc>"
    edges = [graph.edge(before, each) for each in steps for before in each.after]
    boxes = [_box(each, *graph.corner(each.name)) for each in steps]
    return "\n".join([head, described, f"<style>{_STYLE}</style>", *edges, *boxes, "</svg>\n"])


class _Graph:
    """Where everything stands. A step has its place in one column; where one further right waits
    for it, it keeps a place free in the columns between, and the edge passes there."""

    def __init__(self, steps: Sequence[Drawn]) -> None:
        self._column: dict[str, int] = {}
        for each in steps:
            columns = [self._column[before] + 1 for before in each.after]
            self._column[each.name] = max(columns, default=0)
        self._rows = self._arranged(steps)
        self._tallest = max(map(len, self._rows), default=0)
        self.width = 2 * _MARGIN + len(self._rows) * (_WIDTH + _ACROSS) - _ACROSS
        self.height = 2 * _MARGIN + self._tallest * (_HEIGHT + _DOWN) - _DOWN

    def corner(self, name: str, column: int | None = None) -> tuple[int, int]:
        """Left and upper end of the place of a step in its own column, or in another."""
        x = self._column[name] if column is None else column
        rows = self._rows[x]
        lower = (self._tallest - len(rows)) * (_HEIGHT + _DOWN) // 2
        y = _MARGIN + lower + rows[name] * (_HEIGHT + _DOWN)
        return _MARGIN + x * (_WIDTH + _ACROSS), y

    def edge(self, before: str, step: Drawn) -> str:
        x, y = self._middle(before, self._column[before])
        path = f"M{x + _WIDTH} {y}"
        for column in range(self._column[before] + 1, self._column[step.name]):
            path += self._bend(before, column - 1, before, column)
            path += f"h{_WIDTH}"
        last = self._column[step.name]
        path += self._bend(before, last - 1, step.name, last)
        x, y = self._middle(step.name, last)
        tip = f"M{x - 7} {y - 4}L{x} {y}L{x - 7} {y + 4}z"
        return f'<path class="edge" d="{path}"/><path class="tip" d="{tip}"/>'

    def _bend(self, before: str, column: int, after: str, next_column: int) -> str:
        x1, y1 = self._middle(before, column)
        x2, y2 = self._middle(after, next_column)
        bend = _ACROSS // 2
        return f"C{x1 + _WIDTH + bend} {y1} {x2 - bend} {y2} {x2} {y2}"

    def _middle(self, name: str, column: int) -> tuple[int, int]:
        x, y = self.corner(name, column)
        return x, y + _HEIGHT // 2

    def _arranged(self, steps: Sequence[Drawn]) -> list[dict[str, int]]:
        """The row of each place, column by column: near the middle of what leads to it."""
        columns: list[dict[str, Sequence[str]]] = [
            {} for _ in range(max(self._column.values(), default=-1) + 1)
        ]
        for each in steps:
            columns[self._column[each.name]][each.name] = each.after
            for before in each.after:
                for column in range(self._column[before] + 1, self._column[each.name]):
                    columns[column][before] = [before]
        rows: list[dict[str, int]] = []
        for places in columns:
            names = list(places)
            if rows:
                last = rows[-1]
                names.sort(key=lambda name: mean(last[each] for each in places[name]))
            rows.append({name: row for row, name in enumerate(names)})
        return rows


def _box(step: Drawn, x: int, y: int) -> str:
    state = step.state or "planned"
    return (
        f'<g class="{state}"><title>{escape(f"{step.name}: {state}. {step.label}")}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text class="mark" x="{x + 12}" y="{y + 23}">{MARKS[step.state]}</text>'
        f'<text class="name" x="{x + 32}" y="{y + 23}">{escape(_cut(step.name, _NAME))}</text>'
        f'<text class="label" x="{x + 12}" y="{y + 42}">{escape(_cut(step.label, _LABEL))}</text>'
        "</g>"
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


#: Colours with a contrast of 4.5 and more on their ground (WCAG 2.2, 1.4.3).
_STYLE = """
.flow{background:#fff}
.flow text{font-family:system-ui,sans-serif;fill:#1c2430}
.flow .name{font-size:14px;font-weight:600}.flow .label{font-size:11px}.flow .mark{font-size:14px}
.flow rect{fill:#f4f6f9;stroke:#7b8794;stroke-width:1.5}
.flow .edge{fill:none;stroke:#7b8794;stroke-width:1.5}.flow .tip{fill:#7b8794}
.flow .planned rect,.flow .blocked rect,.flow .scheduled rect{stroke-dasharray:5 3}
.flow .processing rect{fill:#e3efff;stroke:#1f6feb}
.flow .completed rect{fill:#e2f5e7;stroke:#1a7f37}
.flow .failed rect{fill:#fde7e9;stroke:#c5221f;stroke-width:2.5}
.flow .cancelled rect{fill:#fff3d6;stroke:#8a6100}
@media (prefers-color-scheme: dark){
.flow{background:#11161d}.flow text{fill:#e6ebf2}.flow rect{fill:#1b222c;stroke:#8593a3}
.flow .edge{stroke:#8593a3}.flow .tip{fill:#8593a3}
.flow .processing rect{fill:#12294a;stroke:#6cb0ff}
.flow .completed rect{fill:#10301b;stroke:#4ac26b}
.flow .failed rect{fill:#431518;stroke:#ff7b72}
.flow .cancelled rect{fill:#3a2c08;stroke:#d9a514}
}
"""
