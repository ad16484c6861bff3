"""A small writer of pictures: horizontal bars in groups, columns in a row, and lines over time, as
SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

OURS, BARE, RIVAL = "ours", "bare", "rival"
"""Classes of a bar."""
STYLE = """<style>
.page { fill: #ffffff } text { fill: #1e293b }
.ours { fill: #2563eb } .bare { fill: #cbd5e1 } .rival { fill: #94a3b8 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } text { fill: #e6edf3 }
.ours { fill: #58a6ff } .bare { fill: #30363d } .rival { fill: #6e7681 } }
</style>"""
LINES = """<style>
.axis { stroke: #cbd5e1 } .line { fill: none; stroke-width: 1.8 }
.line.ours { stroke: #2563eb } .line.rival { stroke: #94a3b8 }
@media (prefers-color-scheme: dark) {
.axis { stroke: #30363d } .line.ours { stroke: #58a6ff } .line.rival { stroke: #6e7681 } }
</style>"""
WIDTH, LABELS, NUMBERS = 720, 150, 110
BAR, GAP, MARGIN = 18, 6, 16


@dataclass(frozen=True, kw_only=True)
class Bar:
    label: str
    value: float
    text: str
    """The value as it is written."""
    kind: str = RIVAL


@dataclass(frozen=True, kw_only=True)
class Group:
    """Bars on one scale of their own."""

    title: str
    bars: Sequence[Bar]


def bars(title: str, groups: Sequence[Group]) -> str:
    """Each group under its title, longest bar as wide as there is room."""
    room = WIDTH - LABELS - NUMBERS - 2 * MARGIN
    y = MARGIN + 16
    parts = [_text(MARGIN, y, title, weight="bold", size=15)]
    for group in groups:
        y += 30
        parts.append(_text(MARGIN, y, group.title, weight="bold"))
        y += 8
        longest = max((bar.value for bar in group.bars), default=0) or 1
        for bar in group.bars:
            middle, length = y + BAR - 5, max(1.0, bar.value / longest * room)
            x = MARGIN + LABELS
            parts.append(_text(x - 8, middle, bar.label, anchor="end"))
            parts.append(_box(x, y, length, BAR, bar.kind))
            parts.append(_text(x + length + 6, middle, bar.text))
            y += BAR + GAP
    said = "; ".join(
        f"{group.title}: " + ", ".join(f"{bar.label} {bar.text}" for bar in group.bars)
        for group in groups
    )
    return _picture(title, said, parts, height=y + MARGIN)


def columns(title: str, values: Sequence[float], *, foot: str) -> str:
    """One column for each value, from the left; the scale begins at zero."""
    room, height = WIDTH - 2 * MARGIN - 60, 180
    top, floor = MARGIN + 34, MARGIN + 34 + height
    highest = max(values, default=0) or 1
    step = room / max(1, len(values))
    parts = [
        _text(MARGIN, MARGIN + 16, title, weight="bold", size=15),
        _text(MARGIN + 52, top + 6, f"{highest:,.0f}", anchor="end"),
        _text(MARGIN + 52, floor, "0", anchor="end"),
        _text(MARGIN + 60, floor + 20, foot),
    ]
    for n, value in enumerate(values):
        tall = value / highest * height
        parts.append(_box(MARGIN + 60 + n * step, floor - tall, step * 0.8, tall, OURS))
    said = f"{foot}: " + ", ".join(f"{value:,.0f}" for value in values)
    return _picture(title, said, parts, height=floor + 20 + MARGIN)


@dataclass(frozen=True)
class Series:
    """Values at moments that are evenly far apart."""

    label: str
    values: Sequence[float]
    kind: str = OURS
    area: bool = False
    """Filled down to zero, else a line in steps."""


@dataclass(frozen=True)
class Panel:
    """Series on one scale of their own, which begins at zero."""

    title: str
    series: Sequence[Series]


def lines(title: str, panels: Sequence[Panel], *, ticks: Sequence[str]) -> str:
    """The panels one below the other, on one axis of time that bears `ticks` from end to end."""
    left, room, tall = MARGIN + 60, WIDTH - 2 * MARGIN - 70, 100
    y = MARGIN + 16
    parts = [LINES, _text(MARGIN, y, title, weight="bold", size=15)]
    for panel in panels:
        y += 30
        parts.append(_text(left, y, panel.title, weight="bold"))
        top, floor = y + 12, y + 12 + tall
        highest = max((max(each.values, default=0) for each in panel.series), default=0) or 1
        parts.append(_text(left - 8, top + 8, f"{highest:,.0f}", anchor="end"))
        parts.append(_text(left - 8, floor, "0", anchor="end"))
        parts.append(f'<path class="axis" d="M{left} {floor}H{left + room}"/>')
        scale = tall / highest
        parts += (_steps(each, left, floor, room=room, scale=scale) for each in panel.series)
        y = floor
    for n, tick in enumerate(ticks):
        x = left + room * n / max(1, len(ticks) - 1)
        parts.append(_text(x, y + 20, tick, anchor="middle"))
    said = "; ".join(
        f"{panel.title}, {each.label or 'highest'}: up to {max(each.values, default=0):,.0f}"
        for panel in panels
        for each in panel.series
    )
    return _picture(title, said, parts, height=y + 20 + MARGIN)


def _steps(series: Series, left: float, floor: float, *, room: float, scale: float) -> str:
    """A path that goes level from each moment to the next. Where nothing changes it is one piece,
    so that a quiet day is a small file."""
    step = room / max(1, len(series.values))
    path, last = f"M{left} {floor}", 0.0
    for n, value in enumerate(series.values):
        if value != last:
            path += f"H{left + n * step:.1f}V{floor - value * scale:.1f}"
            last = value
    path += f"H{left + room:.1f}"
    if series.area:
        return f'<path class="{series.kind}" d="{path}V{floor}Z"/>'
    return f'<path class="line {series.kind}" d="{path}"/>'


def _picture(title: str, said: str, parts: Sequence[str], *, height: float) -> str:
    """`said`: what it shows, for who cannot see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
        ' font-family="system-ui, sans-serif" font-size="12">'
    )
    told = f"<title>{escape(title)}</title>\n<desc>{escape(said)}</desc>"
    paper = f'<rect class="page" width="{WIDTH}" height="{height:.0f}" rx="8"/>'
    return "\n".join([head, told, STYLE, paper, *parts, "</svg>"]) + "\n"


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        ' rx="2"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    size: int = 12,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
        f' font-size="{size}">{escape(text)}</text>'
    )
