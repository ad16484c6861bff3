"""`tabur top`: what works, waits, fails and is next, live in the terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import json
from tabur.operations.overview import Overview, overview

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

#: Seconds between two looks at the stores; a slow one is given more time.
EVERY = 2.0
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


@click.command("top", cls=Command)
@click.option("--once", is_flag=True, help="Print what there is now, and end.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, once.")
@click.pass_obj
def top(session: Session, once: bool, as_json: bool) -> None:
    """Show queues, workers, running jobs, failures of the last hour and what is scheduled next.

    It is drawn anew every two seconds; q ends it.
    """
    drivers = open_app(session).drivers

    def look() -> list[Overview]:
        return [overview(driver) for driver in drivers]

    if as_json:
        json(look())
    elif once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _console().print(frame(look()))
    else:
        _live(look)


def _console() -> Console:
    """Names and messages are shown as they are: brackets in them mean nothing."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)


def _live(look: Callable[[], list[Overview]]) -> None:
    from rich.live import Live

    with _keys() as pressed, Live(screen=True, auto_refresh=False, console=_console()) as live:
        while True:
            began = monotonic()
            live.update(frame(look()), refresh=True)
            # Not more often than it takes: a store that is slow is not to be kept busy by us.
            until = monotonic() + max(EVERY - (monotonic() - began), monotonic() - began, 0.1)
            while (left := until - monotonic()) > 0:
                if pressed(left) in ("q", "Q", "\x03", "\x1b"):
                    return


@contextmanager
def _keys() -> Iterator[Callable[[float], str | None]]:
    """What tells which key was pressed within so many seconds; None: none was."""
    try:
        import termios
        import tty
    except ModuleNotFoundError:  # Windows: Ctrl-C ends it
        yield _sleep
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def pressed(pause: float) -> str | None:
        # Past the buffer of sys.stdin: a key that waits there would wake no select.
        there = select.select([fd], [], [], pause)[0]
        return os.read(fd, 1).decode("ascii", "replace") if there else None

    try:
        tty.setcbreak(fd)
        yield pressed
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _sleep(pause: float) -> str | None:
    sleep(pause)
    return None


def frame(seen: Sequence[Overview]) -> RenderableType:
    """What stands on the screen."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for each in seen:
        when = each.now.astimezone().strftime("%H:%M:%S") if each.now else ""
        parts.append(Text(f" {each.connection} {when}", style="bold green"))
        if each.error is not None:
            parts.append(Text(f" {each.error}", style="red"))
            continue
        if each.held is not None:
            parts.append(Text(f" Held, no worker takes anything: {each.held}", style="yellow"))
        parts += [*_queues(each), *_workers(each), *_running(each), *_failures(each)]
        parts += _schedules(each)
    return Group(*parts)


def _queues(seen: Overview) -> list[RenderableType]:
    table = _table("Queue", "Pending", "Delayed", "Running", "Oldest", "Jobs/s", "Workers", "")
    for each in seen.queues:
        level = each.level
        if level.resting is not None:
            word = level.resting.kind
        else:
            word = "no worker" if level.pending and not each.processes else level.status
        table.add_row(
            level.queue,
            f"{level.pending:,}",
            f"{level.delayed:,}",
            f"{level.reserved:,}",
            _span(each.oldest),
            _number(each.rate),
            str(each.processes),
            word,
            style=None if word == "OK" else "yellow",
        )
    return [table] if seen.queues else [_nothing("Nothing waits, and nothing runs.")]


def _workers(seen: Overview) -> list[RenderableType]:
    if not seen.workers:
        return [_nothing("No worker runs: tabur queue:work")]
    table = _table("Worker", "Queues", "Jobs/s", "Mean", "Running", "")
    for each in seen.workers:
        table.add_row(
            f"{each.host} {each.pid}",
            ",".join(each.queues),
            _number(each.rate),
            "-" if each.service is None else f"{each.service * 1000:,.1f} ms",
            "-" if each.running is None else str(each.running),
            {True: "alive", False: "gone", None: ""}[each.alive],
            style="red" if each.alive is False else None,
        )
    return [table]


def _running(seen: Overview) -> list[RenderableType]:
    if not seen.running:
        return []
    table = _table("Running", "Id", "Queue", "For", "Progress", "Tenant")
    for each in seen.running:
        done = "" if each.percent is None else f"{each.percent} % "
        told = f"{done}{each.message or ''}".strip()
        table.add_row(each.job, each.id, each.queue, _span(each.seconds), told, each.tenant or "")
    return [table]


def _failures(seen: Overview) -> list[RenderableType]:
    if not seen.failed_lately:
        return []
    many = f"{seen.failed_lately:,}{' or more' if seen.at_least else ''}"
    table = _table(f"Failed within an hour: {many}", "Id", "Queue", "At", "Exception")
    for each in seen.failures:
        at = each.failed_at.astimezone().strftime("%H:%M:%S") if each.failed_at else ""
        table.add_row(each.job, each.id, each.queue, at, each.exception or "", style="red")
    return [table]


def _schedules(seen: Overview) -> list[RenderableType]:
    if not seen.schedules:
        return []
    table = _table("Next", "When", "In")
    for each in seen.schedules:
        late = each.due_in < 0
        due = f"{_span(-each.due_in)} late" if late else _span(each.due_in)
        table.add_row(each.name, each.cron_expression, due, style="yellow" if late else None)
    return [table]


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=True, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    return table


def _nothing(text: str) -> RenderableType:
    from rich.text import Text

    return Text(f" {text}", style="dim")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
