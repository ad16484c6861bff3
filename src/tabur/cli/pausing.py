"""Letting queues rest: `queue:pause`, `queue:resume`, `queue:hold`, `queue:release-hold`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click

from tabur.cli.completion import queue_names
from tabur.cli.group import Command, Session
from tabur.cli.opening import connection_of, declared_queues, open_app, queue_of
from tabur.cli.printing import info, told
from tabur.cli.values import SPAN
from tabur.drivers.contract import Driver
from tabur.model.records import ALL_QUEUES
from tabur.operations.acting import Acting
from tabur.operations.reading import Reading


@click.command("queue:pause", cls=Command)
@click.argument("queue", metavar="[CONNECTION:]QUEUE", required=False, shell_complete=queue_names)
@click.option("--all", "every", is_flag=True, help="All queues of all connections.")
@click.option("--for", "lasting", type=SPAN, help="It ends by itself: 90 (seconds), 30m, 2h, 1d.")
@click.option("--reason", metavar="TEXT", help="Why; it is shown with the queue.")
@click.pass_obj
def pause(
    session: Session, queue: str | None, every: bool, lasting: timedelta | None, reason: str | None
) -> None:
    """Let workers take nothing from a queue, until it is resumed.

    They obey within three seconds, on all hosts. What runs is finished, and what is dispatched
    meanwhile waits.
    """
    drivers, name = _which(session, queue, every=every)
    Acting(*drivers).pause(name, lasting=lasting, reason=reason)
    info(f"Job processing on {_called(drivers, name)} has been paused.")
    _show_rest(drivers, name)


@click.command("queue:resume", cls=Command)
@click.argument("queue", metavar="[CONNECTION:]QUEUE", required=False, shell_complete=queue_names)
@click.option("--all", "every", is_flag=True, help="All that is paused, on all connections.")
@click.pass_obj
def resume(session: Session, queue: str | None, every: bool) -> None:
    """Let workers take from a queue again, which was paused.

    queue:continue does the same.
    """
    drivers, name = _which(session, queue, every=every)
    acting = Acting(*drivers)
    resumed = acting.resume_all() if every else acting.resume(name)
    how = "has been resumed" if resumed else "was not paused"
    info(f"Job processing on {_called(drivers, name)} {how}.")
    _show_rest(drivers, name)


@click.command("queue:hold", cls=Command)
@click.argument("connection", required=False)
@click.option(
    "--reason", metavar="TEXT", default="tabur queue:hold", help="Why; it is shown with the queues."
)
@click.pass_obj
def hold(session: Session, connection: str | None, reason: str) -> None:
    """Let no worker take any job: for a store that was restored from a backup.

    Of one connection, or of all. Workers obey within three seconds, those that start meanwhile
    too. What runs is finished.
    """
    drivers = _stores(session, connection)
    Acting(*drivers).hold(reason)
    info(f"Job processing on {_called(drivers, ALL_QUEUES)} is held.")
    _show_rest(drivers, ALL_QUEUES)


@click.command("queue:release-hold", cls=Command)
@click.argument("connection", required=False)
@click.pass_obj
def release_hold(session: Session, connection: str | None) -> None:
    """Let workers take jobs again after a hold.

    Of one connection, or of all. Look first at what waits: after a restore some of it may have
    been done before.
    """
    drivers = _stores(session, connection)
    how = "is held no more" if Acting(*drivers).release_hold() else "was not held"
    info(f"Job processing on {_called(drivers, ALL_QUEUES)} {how}.")
    _show_rest(drivers, ALL_QUEUES)


def _which(session: Session, queue: str | None, *, every: bool) -> tuple[list[Driver], str]:
    """The stores and the queue that a command is about."""
    app = open_app(session)
    if every == (queue is not None):
        raise click.UsageError("Which queue? Write default, or redis:default, or --all.")
    if queue is None:
        return app.drivers, ALL_QUEUES
    driver, name = queue_of(app, queue)
    Reading(driver).check_known([name], declared=declared_queues(app))
    return [driver], name


def _stores(session: Session, connection: str | None) -> list[Driver]:
    app = open_app(session)
    return app.drivers if connection is None else [app.driver_of(connection_of(app, connection))]


def _called(drivers: Sequence[Driver], queue: str) -> str:
    if queue != ALL_QUEUES:
        return f"queue [{drivers[0].name}:{queue}]"
    return f"all queues of {', '.join(f'[{each.name}]' for each in drivers)}"


def _show_rest(drivers: Sequence[Driver], queue: str) -> None:
    """What keeps it from being worked now, and how that ends."""
    for each in Reading(*drivers).resting(None if queue == ALL_QUEUES else queue):
        click.echo(f"  [{each.connection}] {each.name}: {told(each)}\n    → {each.todo}")
