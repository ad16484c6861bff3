"""`tabur doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_at
from tabur.cli.printing import dotted, json
from tabur.errors import TaburError
from tabur.model.findings import Finding, Level
from tabur.worker.load import find_app
from tabur.worker.supervision.folder import supervisors

if TYPE_CHECKING:
    from tabur.app import Tabur
    from tabur.drivers.contract import Driver
    from tabur.operations.doctor.patient import Checked, Diagnosis, Patient, User

#: Where logs are kept unless somebody says otherwise.
LOGS = Path("var/log")
_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.NOTE: "blue", None: "green"}


@click.command("doctor", cls=Command)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A log file, or a folder of them, to look at too; may be given again.",
)
@click.option("--user", metavar="NAME", help="Whom workers run as. [those that run, else yourself]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def doctor(session: Session, logs: tuple[Path, ...], user: str | None, as_json: bool) -> None:
    """Look for what is known to go wrong, and say what to do about it.

    The exit code is 1 when something is wrong. Nothing is changed.
    """
    found = _diagnosed(session, logs, user)
    if as_json:
        json(found)
    else:
        _print(found)
    if not found.well:
        raise SystemExit(1)


def _diagnosed(session: Session, logs: tuple[Path, ...], user: str | None) -> Diagnosis:
    from tabur.operations.doctor.examination import diagnosis, examine
    from tabur.operations.doctor.patient import Checked

    try:
        app = open_at(find_app(session.app))
    except (TaburError, click.ClickException) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else str(error)
        what = Finding(
            "app-not-loaded",
            Level.ERROR,
            " ".join(text.split()),
            "Mend this first: nothing can run. Then ask again.",
        )
        return diagnosis([Checked("app", None, (what,))])
    try:
        return examine(_patient(app, logs, user))
    finally:
        app.close()


def _patient(app: Tabur, logs: Iterable[Path], user: str | None) -> Patient:
    from tabur.operations.doctor.patient import Patient

    def opened(name: str) -> Callable[[], Driver]:
        return partial(app.driver_of, name)

    return Patient(
        settings=app.settings,
        registry=app.registry,
        stores={name: opened(name) for name in app.connections},
        queues={name: app.queues_of(name) for name in app.connections},
        environment=_environment(app),
        schedules=_schedules(app),
        users=tuple(_users(app, user)),
        logs=tuple(dict.fromkeys([*logs, *_log_files(), *([LOGS] if LOGS.is_dir() else [])])),
    )


def _schedules(app: Tabur) -> dict[str, tuple[str, ...]]:
    """Those that code declares for where it runs, by connection."""
    found: dict[str, tuple[str, ...]] = {}
    for each in app.schedule.declared().values():
        connection = each.connection or app.connection
        if connection == "failover":
            connection = app.settings.failover[0]
        if not each.environments or app.settings.env in each.environments:
            found[connection] = (*found.get(connection, ()), each.name)
    return found


def _environment(app: Tabur) -> dict[str, str]:
    """Variables and `.env`; and what was given as a keyword of `Tabur(…)`."""
    values: dict[str, str] = {}
    if Path(".env").is_file():
        from dotenv import dotenv_values

        values = {name: value for name, value in dotenv_values(".env").items() if value}
    given = {name: getattr(app.settings, name) for name in ("retry_after", "block_for")}
    return values | os.environ | {name: str(each) for name, each in given.items() if each}


def _users(app: Tabur, name: str | None) -> list[User]:
    """Whom the workers of this host run as: the one that was named, those that run now, or who
    asks."""
    from tabur.operations.doctor.patient import User

    try:
        if name is not None:
            return [User.named(name)]
        return [User.of(uid) for uid in sorted(_uids(app.settings.run))] or [User.current()]
    except KeyError:
        if name is not None:
            raise click.UsageError(f"There is no user {name!r} on this machine.") from None
        return []
    except ModuleNotFoundError:  # a system without such users
        return []


def _uids(run: Path) -> set[int]:
    import psutil

    found = set()
    for each in supervisors(run):
        if each.lives and each.about.is_here:
            with suppress(psutil.Error):
                found.add(psutil.Process(each.about.pid).uids().effective)
    return found


def _log_files() -> list[Path]:
    """Those that the app's own logging writes to."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    return [
        Path(handler.baseFilename)
        for logger in (logging.root, *loggers)
        for handler in logger.handlers
        if isinstance(handler, logging.FileHandler)
    ]


def _print(found: Diagnosis) -> None:
    click.echo()
    for each in found.checks:
        _print_check(each)
    click.echo()
    for finding in found.findings:
        word = click.style(finding.level.upper(), fg=_COLOURS[finding.level], bold=True)
        click.echo(f"  {word} {finding.name}: {finding.what}\n    → {finding.todo}")
    if found.findings:
        click.echo()
    if found.well:
        click.secho("  All is well.\n", fg="green")


def _print_check(made: Checked) -> None:
    what = made.check if made.connection is None else f"[{made.connection}] {made.check}"
    level = made.level
    dotted(what, "OK" if level is None else level.upper(), colour=_COLOURS[level])
