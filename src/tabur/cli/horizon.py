"""The commands of Laravel's Horizon, for those who know them: one supervisor for all queues."""

from __future__ import annotations

from time import sleep
from typing import Any

import click
import msgspec

from tabur.cli.group import Command, Session
from tabur.cli.opening import connection_of, open_app
from tabur.cli.printing import info, json, table, told
from tabur.cli.work import run, work
from tabur.drivers.contract import Driver
from tabur.model.records import ALL_QUEUES
from tabur.operations.acting import Acting
from tabur.operations.reading import Reading
from tabur.operations.results import Resting
from tabur.operations.scaling import SupervisorShown, supervisors
from tabur.worker.supervision.folder import supervisors as of_this_host

RUNNING, PAUSED, INACTIVE = range(3)
"""Exit codes of `horizon:status`, as Horizon has them."""
_WORDS = {RUNNING: "running", PAUSED: "paused", INACTIVE: "inactive"}
#: Seconds between two looks whether all have ended.
LOOK = 0.5


class Status(msgspec.Struct, frozen=True):
    status: str
    supervisors: list[SupervisorShown]
    resting: list[Resting]


@click.pass_obj
def _horizon(session: Session, /, connection: str | None, **given: Any) -> None:
    """Work all queues of the app, each with as many processes as it needs.

    The same as queue:work --balance=auto --queue=…, with every queue that a job of the app goes to
    by itself. Stop it with Ctrl-C, SIGTERM, or tabur horizon:terminate.
    """
    app = open_app(session)
    queues = ",".join(app.queues_of(connection_of(app, connection)))
    run(session, connection, given | _ALWAYS | {"queue": queues})


_ALWAYS = {"balance": "auto", "processes": None, "once": False}
horizon = Command(
    "horizon",
    callback=_horizon,
    help=_horizon.__doc__,
    params=[
        each
        for each in work.params
        if each.name
        not in {*_ALWAYS, "queue", "app", "env_file", "verbose"}  # the last three it adds itself
    ],
)


@click.command("horizon:status", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def status(session: Session, as_json: bool) -> None:
    """Tell whether workers run: exit code 0 running, 1 paused, 2 inactive."""
    app = open_app(session)
    drivers = app.drivers
    found, resting = supervisors(*drivers), Reading(*drivers).resting()
    # Where no queue needs one, a supervisor has no process that the store could know.
    idle = any(each.lives and each.about.is_here for each in of_this_host(app.settings.run))
    code = INACTIVE
    if found or idle:
        code = PAUSED if _all_rest(found, resting, drivers) else RUNNING
    if as_json:
        json(Status(_WORDS[code], found, resting))
    else:
        info(f"Horizon is {_WORDS[code]}.")
        if found:
            _show(found)
        for each in resting:
            click.echo(f"  [{each.connection}] {each.name}: {told(each)}\n    → {each.todo}")
    raise SystemExit(code)


@click.command("horizon:supervisors", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="A JSON array.")
@click.pass_obj
def list_supervisors(session: Session, as_json: bool) -> None:
    """List the supervisors of all hosts, with their queues and processes."""
    found = supervisors(*open_app(session).drivers)
    if as_json:
        json(found)
    elif found:
        _show(found)
    else:
        info("No supervisors are running.")


@click.command("horizon:pause", cls=Command)
@click.pass_obj
def pause(session: Session) -> None:
    """Let workers take nothing from any queue, as queue:pause --all."""
    Acting(*open_app(session).drivers).pause(ALL_QUEUES, reason="horizon:pause")
    info("Horizon is paused. What runs is finished.")


@click.command("horizon:continue", cls=Command)
@click.pass_obj
def resume(session: Session) -> None:
    """End what horizon:pause began; queues that were paused by themselves stay so."""
    drivers = open_app(session).drivers
    resumed = Acting(*drivers).resume(ALL_QUEUES)
    info("Horizon goes on." if resumed else "Horizon was not paused.")
    for each in Reading(*drivers).resting():
        click.echo(f"  [{each.connection}] {each.name}: {told(each)}\n    → {each.todo}")


@click.command("horizon:terminate", cls=Command)
@click.option("--wait", is_flag=True, help="Until every worker process of now has ended.")
@click.pass_obj
def terminate(session: Session, wait: bool) -> None:
    """Let all workers finish what they run and end, as queue:restart.

    Whoever started them (systemd, Supervisor) starts them again, with the new code.
    """
    drivers = open_app(session).drivers
    before = _processes(drivers)
    Acting(*drivers).restart()
    noun = "worker process" if len(before) == 1 else "worker processes"
    info(f"Telling {len(before)} {noun} to terminate.")
    while wait and before & _processes(drivers):
        sleep(LOOK)


def _processes(drivers: list[Driver]) -> set[str]:
    return {each.id for driver in drivers for each in driver.workers.list()}


def _all_rest(found: list[SupervisorShown], resting: list[Resting], drivers: list[Driver]) -> bool:
    """Whether nothing is taken from any queue where somebody works."""
    working = {each.connection for each in found} or {each.name for each in drivers}
    return working <= {each.connection for each in resting if each.queue is None}


def _show(found: list[SupervisorShown]) -> None:
    table(
        ("Supervisor", "Host", "Queues", "Processes"),
        [
            (
                each.id,
                each.host,
                ", ".join(f"[{each.connection}] {q}: {n}" for q, n in sorted(each.queues.items())),
                str(each.processes),
            )
            for each in found
        ],
    )
