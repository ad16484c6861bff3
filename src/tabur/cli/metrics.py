"""`tabur queue:metrics`: numbers for scalers outside."""

from __future__ import annotations

from typing import Any

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import connection_of, declared_queues, open_app, queue_of
from tabur.cli.printing import json, table
from tabur.cli.values import SECONDS
from tabur.model.scaling import TARGET
from tabur.operations.reading import Reading
from tabur.operations.scaling import QueueScale, exposition


@click.command("queue:metrics", cls=Command)
@click.argument("queues", metavar="[[CONNECTION:]QUEUE,…]", required=False)
@click.option(
    "--min-processes",
    type=click.IntRange(0, 256),
    default=1,
    show_default=True,
    help="Wanted at least, for each queue.",
)
@click.option(
    "--max-processes",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Wanted at most, for each queue.",
)
@click.option(
    "--target",
    type=SECONDS,
    default=TARGET,
    show_default=True,
    help="Work off what waits within so long.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    help="Of the workers. [100 async, 10 in threads]",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.option("--prometheus", is_flag=True, help="The text format of Prometheus.")
@click.pass_obj
def metrics(session: Session, /, queues: str | None, **given: Any) -> None:
    """Show how full each queue is, and how many worker processes it needs, on all hosts together.

    Of all queues that a job of the app goes to by itself, unless some are named.
    """
    if given["as_json"] and given["prometheus"]:
        raise click.UsageError("--json or --prometheus? Leave one out.")
    shown = given.pop("as_json"), given.pop("prometheus")
    app = open_app(session)
    asked: dict[str, list[str]] = {}
    for part in filter(None, (each.strip() for each in (queues or "").split(","))):
        driver, queue = queue_of(app, part)
        Reading(driver).check_known([queue], declared=declared_queues(app))
        asked.setdefault(driver.name, []).append(queue)
    if queues is None:
        asked = {connection_of(app, name): [] for name in app.connections}
    scales = [
        scale
        for connection, names in asked.items()
        for scale in app.scaling(connection=connection, queues=names, **given)
    ]
    match shown:
        case (True, _):
            json(scales)
        case (_, True):
            click.echo(exposition(scales), nl=False)
        case _:
            table(
                ("Queue", "Pending", "Oldest", "Arriving", "Each takes", "Processes", "Wanted"),
                [_row(each) for each in scales],
            )


def _row(scale: QueueScale) -> tuple[str, ...]:
    paused = " (paused)" if scale.paused else ""
    return (
        f"[{scale.connection}] {scale.queue}{paused}",
        f"{scale.pending:,}",
        "-" if scale.oldest is None else f"{scale.oldest:,.1f} s",
        "-" if scale.arrivals is None else f"{scale.arrivals:,.1f}/s",
        "-" if scale.service is None else f"{scale.service:,.3f} s",
        f"{scale.processes:,}",
        f"{scale.wanted:,}",
    )
