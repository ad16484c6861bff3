"""`tabur about`: versions, the store, the workers, and what is wrong."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_at
from tabur.cli.printing import dotted, json, moment, told
from tabur.errors import ConfigError, TaburError
from tabur.operations.health import health, ignored_settings
from tabur.operations.results import Health, Problem, WorkerSeen
from tabur.worker.load import find_app

if TYPE_CHECKING:
    from tabur.app import Tabur

_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


class About(msgspec.Struct, frozen=True):
    """What `--json` prints. `health` is that of the default connection, `others` of the rest by
    their names."""

    tabur: str
    python: str
    sqlalchemy: str
    os: str
    app: str | None
    connection: str | None
    environment: str | None
    jobs: int
    health: Health
    others: dict[str, Health]

    @property
    def problems(self) -> list[Problem]:
        seen = [self.health, *self.others.values()]
        return [problem for each in seen for problem in each.problems]


@click.command("about", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def about(session: Session, as_json: bool) -> None:
    """Show versions, the store, the workers, and what is wrong.

    The exit code is 1 when something is wrong.
    """
    found = _look(session)
    if as_json:
        json(found)
    else:
        _print(found)
    if any(problem.level == "error" for problem in found.problems):
        raise SystemExit(1)


def _look(session: Session) -> About:
    """Everything that can be told; without an app, why there is none."""
    app = spec = None
    others: dict[str, Health] = {}
    try:
        spec = find_app(session.app)
        app = open_at(spec)
        first, *rest = app.connections
        seen = _health(app, first)
        others = {name: _health(app, name) for name in rest}
    except (TaburError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        problem = Problem("error", " ".join(text.split()), "Mend this first: nothing can run.")
        seen = Health({}, (), (), 0, (problem,))
    notes = tuple(ignored_settings(_environment() | _keywords(app)))
    return About(
        tabur=version("tabur"),
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        sqlalchemy=version("sqlalchemy"),
        os=platform.platform(terse=True),
        app=spec,
        connection=app.connection if app else None,
        environment=app.settings.env if app else None,
        jobs=sum(1 for _ in app.registry) if app else 0,
        health=msgspec.structs.replace(seen, problems=seen.problems + notes),
        others=others,
    )


def _health(app: Tabur, connection: str) -> Health:
    default = connection == app.connection
    try:
        driver = app.driver_of(connection)
    except ConfigError as error:
        problem = Problem("error", str(error), "Mend this first: its jobs cannot run.")
        return Health({}, (), (), 0, (problem,))
    return health(driver, work="tabur queue:work" if default else f"tabur queue:work {connection}")


def _keywords(app: Tabur | None) -> dict[str, str]:
    """Settings without effect that were given as keywords of `Tabur(…)`."""
    if app is None:
        return {}
    given = {name: getattr(app.settings, name) for name in ("retry_after", "block_for")}
    return {name: str(value) for name, value in given.items() if value is not None}


def _environment() -> dict[str, str]:
    values: dict[str, str] = {}
    if Path(".env").is_file():
        from dotenv import dotenv_values

        values = {name: value for name, value in dotenv_values(".env").items() if value}
    return values | os.environ


def _print(about: About) -> None:
    _section(
        "Versions",
        {
            "Tabur": about.tabur,
            "Python": about.python,
            "SQLAlchemy": about.sqlalchemy,
            "OS": about.os,
        },
    )
    _section(
        "App",
        {
            "App": about.app or "-",
            "Jobs declared": str(about.jobs),
            "Connection": about.connection or "-",
            **({"Other connections": ", ".join(about.others)} if about.others else {}),
            "Environment": about.environment or "-",
        },
    )
    if about.health.store:
        _print_store(about.health)
    for name, seen in about.others.items():
        if seen.store:
            _print_store(seen, f" of {name}")
    click.echo()
    if all(problem.level == "note" for problem in about.problems):
        click.secho("  All is well.", fg="green")
    for problem in about.problems:
        word = click.style(problem.level.upper(), fg=_COLOURS[problem.level])
        click.echo(f"  {word} {problem.what}\n    → {problem.todo}")
    click.echo()


def _print_store(seen: Health, of: str = "") -> None:
    _section(f"Store{of}", {name.capitalize(): value for name, value in seen.store.items()})
    _section(
        f"Workers{of}",
        {f"{each.host} {each.pid} ({','.join(each.queues)})": _life(each) for each in seen.workers}
        or {"Worker processes": "none"},
    )
    _section(
        f"Queues{of}",
        {
            level.queue: f"{level.pending:,} pending, {level.delayed:,} delayed, "
            f"{level.reserved:,} running"
            for level in seen.queues
        }
        or {"Unfinished jobs": "none"},
    )
    _section(f"Resting{of}", {each.name: told(each) for each in seen.resting})


def _section(title: str, rows: dict[str, Any]) -> None:
    if not rows:
        return
    click.echo()
    click.secho(f"  {title}", fg="green", bold=True)
    for name, value in rows.items():
        dotted(name, value)


def _life(worker: WorkerSeen) -> str:
    word = {True: "alive", False: "gone", None: "on another host"}[worker.alive]
    return f"{word}, beat {worker.beats:,}, since {moment(worker.started_at)}"
