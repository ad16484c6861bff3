"""Drawings of a workflow: as text, and as a picture (SVG 1.1) by our own small code."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import msgspec

from tabur.model.states import State


class Drawn(msgspec.Struct, frozen=True):
    """A step to be drawn. `state` None: it has not been dispatched, or is not known any more."""

    name: str
    label: str
    after: tuple[str, ...]
    state: State | None = None


#: Each state by a mark too: who sees no colours, or reads a terminal, is told the same.
MARKS = {
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
    columns = _columns(steps)
    tallest = max(map(len, columns), default=0)
    width = 2 * _MARGIN + len(columns) * (_WIDTH + _ACROSS) - _ACROSS
    height = 2 * _MARGIN + tallest * (_HEIGHT + _DOWN) - _DOWN
    corners = {
        each.name: (
            _MARGIN + x * (_WIDTH + _ACROSS),
            _MARGIN + y * (_HEIGHT + _DOWN) + (tallest - len(column)) * (_HEIGHT + _DOWN) // 2,
        )
        for x, column in enumerate(columns)
        for y, each in enumerate(column)
    }
    edges = [_edge(corners[before], corners[each.name]) for each in steps for before in each.after]
    boxes = [_box(each, *corners[each.name]) for each in steps]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flow" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
    )
    described = f"<title>{escape(title)}</title>\n<desc>{escape(text_of(steps))}</desc>"
    return "\n".join([head, described, f"<style>{_STYLE}</style>", *edges, *boxes, "</svg>\n"])


def _columns(steps: Sequence[Drawn]) -> list[list[Drawn]]:
    """Steps by the longest way to them; each comes after those that it waits for."""
    depths: dict[str, int] = {}
    columns: list[list[Drawn]] = []
    for each in steps:
        depth = max((depths[before] + 1 for before in each.after), default=0)
        depths[each.name] = depth
        columns += [[] for _ in range(depth + 1 - len(columns))]
        columns[depth].append(each)
    return columns


def _edge(before: tuple[int, int], after: tuple[int, int]) -> str:
    x1, y1 = before[0] + _WIDTH, before[1] + _HEIGHT // 2
    x2, y2 = after[0], after[1] + _HEIGHT // 2
    bend = _ACROSS // 2
    curve = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2 - 6} {y2}"
    arrow = f"M{x2 - 7} {y2 - 4}L{x2} {y2}L{x2 - 7} {y2 + 4}"
    return f'<path class="edge" d="{curve}"/><path class="tip" d="{arrow}z"/>'


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
@media (prefers-color-scheme:dark){
.flow{background:#11161d}.flow text{fill:#e6ebf2}.flow rect{fill:#1b222c;stroke:#8593a3}
.flow .edge{stroke:#8593a3}.flow .tip{fill:#8593a3}
.flow .processing rect{fill:#12294a;stroke:#6cb0ff}
.flow .completed rect{fill:#10301b;stroke:#4ac26b}
.flow .failed rect{fill:#431518;stroke:#ff7b72}
.flow .cancelled rect{fill:#3a2c08;stroke:#d9a514}
}
"""
