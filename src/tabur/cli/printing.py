"""How commands speak: Laravel's INFO lines, two columns joined by dots, tables, JSON."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from tabur.operations.results import Resting


def info(text: str) -> None:
    """`  INFO  text`, with air around it."""
    click.echo(f"\n  {click.style(' INFO ', bg='blue', fg='white')} {text}\n")


def dotted(left: str, right: str, *, colour: str | None = None) -> None:
    """`  left ........ right`, as wide as the terminal."""
    dots = "." * max(3, _width() - len(left) - len(right) - 6)
    shown = click.style(right, fg=colour) if colour else right
    click.echo(f"  {left} {click.style(dots, dim=True)} {shown}")


def json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def json_list(values: Iterable[Any]) -> None:
    """An array, one element a line: however long, it is not held in memory."""
    before = "[\n"
    for value in values:
        click.echo(before, nl=False)
        click.echo(b"  " + msgspec.json.encode(value), nl=False)
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table that never breaks its first column; written to a file or pipe, it breaks none."""
    from io import StringIO

    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    drawn = Table(box=box.ROUNDED if terminal else box.ASCII2)
    for n, column in enumerate(columns):
        drawn.add_column(column, no_wrap=n == 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    out = StringIO()
    width = _width() if terminal else 10_000
    console = Console(file=out, width=width, force_terminal=terminal, legacy_windows=False)
    console.print(drawn)
    click.echo(out.getvalue(), nl=False)


def moment(value: datetime | None) -> str:
    """In the reader's own time zone, to the second."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if value else "-"


def told(resting: Resting) -> str:
    """`paused until 2026-11-22 19:24:36: the bank is away`."""
    if resting.kind == "hold":
        word = f"held since {moment(resting.since)}"
    else:
        word = f"paused until {moment(resting.until)}" if resting.until else "paused"
    return f"{word}: {resting.reason}" if resting.reason else word


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 150)
