"""Queues as a whole: `queue:restart`, `queue:clear`, `queue:monitor`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from tabur.cli.completion import queue_names
from tabur.cli.group import Command, Session
from tabur.cli.opening import connection_of, declared_queues, open_app, queue_of
from tabur.cli.printing import info, json, table, told
from tabur.operations.acting import Acting
from tabur.operations.reading import DEFAULT_THRESHOLD, Reading
from tabur.operations.results import QueueLevel

ALERT = 1


def is_terminal() -> bool:
    return sys.stdin.isatty()


@click.command("queue:restart", cls=Command)
@click.pass_obj
def restart(session: Session) -> None:
    """Let the workers of all connections stop after what they run, for a deployment.

    Whoever started them (systemd, Supervisor) starts them again, with the new code.
    """
    workers = Acting(*open_app(session).drivers).restart()
    noun = "worker process" if workers == 1 else "worker processes"
    info(f"Broadcasting queue restart signal to {workers} {noun}.")


@click.command("queue:clear", cls=Command)
@click.argument("connection", required=False)
@click.option(
    "--queue",
    metavar="NAME",
    shell_complete=queue_names,
    help="Which queue. [the connection's default]",
)
@click.option("--force", is_flag=True, help="Do not ask, in production either.")
@click.pass_obj
def clear(session: Session, connection: str | None, queue: str | None, force: bool) -> None:
    """Cancel all that waits on a queue; what runs is left alone."""
    app = open_app(session)
    connection = connection_of(app, connection)
    driver = app.driver_of(connection)
    name = queue or app.settings.queue_on(driver.name)
    Reading(driver).check_known([name], declared=declared_queues(app))
    if app.settings.env == "production" and not force:
        if not is_terminal():
            raise click.ClickException(
                f"This is production: give --force to cancel all that waits on {name!r}."
            )
        click.confirm(f"This is production. Cancel all that waits on {name!r}?", abort=True)
    cleared = Acting(driver).clear(name)
    info(f"Cleared {cleared:,} {'job' if cleared == 1 else 'jobs'} from the [{name}] queue.")


@click.command("queue:monitor", cls=Command)
@click.argument("queues", metavar="[CONNECTION:]QUEUE,…", shell_complete=queue_names)
@click.option(
    "--max",
    "threshold",
    type=click.IntRange(min=1),
    default=DEFAULT_THRESHOLD,
    show_default=True,
    help="ALERT from so many jobs on.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def monitor(session: Session, queues: str, threshold: int, as_json: bool) -> None:
    """Show how full queues are. The exit code is 1 when one is above --max."""
    app = open_app(session)
    levels: list[QueueLevel] = []
    for part in filter(None, (each.strip() for each in queues.split(","))):
        driver, queue = queue_of(app, part)
        levels += Reading(driver).levels(
            [queue], threshold=threshold, declared=declared_queues(app)
        )
    if not levels:
        raise click.UsageError("Which queues? Write database:default,high.")
    if as_json:
        json(levels)
    else:
        table(
            ("Queue", "Size", "Pending", "Delayed", "Reserved", "Oldest pending", "Status"),
            [_row(level) for level in levels],
        )
        for level in levels:
            if level.resting is not None:
                click.echo(f"  [{level.connection}] {level.queue} is {told(level.resting)}")
    if any(level.status == "ALERT" for level in levels):
        raise SystemExit(ALERT)


def _row(level: QueueLevel) -> tuple[str, ...]:
    return (
        f"[{level.connection}] {level.queue}",
        f"{level.size:,}",
        f"{level.pending:,}",
        f"{level.delayed:,}",
        f"{level.reserved:,}",
        _age(level.oldest_pending),
        level.status,
    )


def _age(since: datetime | None) -> str:
    if since is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
