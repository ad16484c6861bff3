"""`tabur setup`: this machine, ready to run the app's workers and its scheduler."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tabur.cli.deploy import check_env_file
from tabur.cli.facts import Question, ask
from tabur.cli.group import Command, Session
from tabur.cli.printing import dotted, info
from tabur.deploy.account import Account
from tabur.deploy.envfile import read
from tabur.deploy.machine import NAMES, Manager, is_here, manager
from tabur.deploy.plan import this_executable
from tabur.deploy.setup import KEY, Setup, State, Step
from tabur.deploy.users import ROOT, numbers_of, worker_user
from tabur.errors import ConfigError
from tabur.worker.load import find_app

_COLOURS = {
    State.ALREADY: None,
    State.DONE: "green",
    State.WOULD: "yellow",
    State.FAILED: "red",
    State.LEFT: "yellow",
}


@click.command("setup", cls=Command)
@click.option("--user", metavar="NAME", help="Whom workers run as. [the folder's owner]")
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME,…",
    help="Queues of a worker in strict order; once for each worker. [all declared]",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Of each worker. [1]")
@click.option(
    "--with",
    "chosen",
    type=click.Choice(NAMES),
    help="What runs them. [the first of these that is here]",
)
@click.option("--yes", is_flag=True, help="Install the services, too; needs root.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Renew files that somebody has changed.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    metavar="FOLDER",
    help="Install into the file system below it, such as an image's. [/]",
)
@click.option("--name", metavar="NAME", help="What services are called by. [the app's package]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def setup(
    session: Session, /, *, yes: bool, dry_run: bool, chosen: str | None, **given: Any
) -> None:
    """Set up this machine for the app in this folder; safe to repeat.

    It adds what is missing in .env, makes the folders that workers write to and the tables, looks
    at the stores, and writes the files of what runs services here into deploy/. With --yes it also
    installs them. What is there is left as it is. OPTIONS are further ones of queue:work, behind
    two dashes.
    """
    if sys.platform == "win32":
        raise click.ClickException("On Windows: tabur migrate, and tabur deploy:nssm.")
    spec, folder = find_app(session.app), Path.cwd()
    machine = Setup(
        folder,
        _account(given["user"], folder),
        dry=dry_run,
        root=given["root"].absolute(),
        force=given["force"],
    )
    if yes and os.geteuid() != 0 and not dry_run:
        raise click.ClickException(
            "--yes installs services, which root alone may. Write: sudo "
            f"{sys.argv[0]} --app {spec} setup --yes"
        )
    info(f"Setting up {folder} for {machine.account.name}.")
    left: list[str] = []
    failed = False
    for step in _steps(session, spec, machine, given, yes=yes, chosen=chosen):
        dotted(step.what, step.state, colour=_COLOURS[step.state])
        failed |= step.state is State.FAILED
        if step.todo:
            left.append(f"{step.what}: {step.todo}" if step.what else step.todo)
    _tell(left, failed=failed, dry=dry_run)
    raise SystemExit(1 if failed else 0)


def _steps(
    session: Session,
    spec: str,
    machine: Setup,
    given: dict[str, Any],
    *,
    yes: bool,
    chosen: str | None,
) -> Iterator[Step]:
    file = Path(session.env_file or machine.folder / ".env").absolute()
    yield from machine.environment(file, os.environ)
    _load(machine.read(file))
    question = Question(
        spec,
        machine.account.name,
        str(machine.folder),
        session.env_file,
        *(given["name"], given["queues"], given["processes"], given["options"]),
    )
    facts = ask(question, machine.account)
    # Whom services belong to, and what they start, is for nobody else to say.
    plan = replace(
        facts.plan,
        directory=str(machine.folder),
        executable=this_executable(),
        user=machine.account.name,
        env_file=str(file) if file.exists() else None,
    )
    tabur = [*plan.executable, "--app", spec, *(["--env-file", str(file)] if file.exists() else [])]
    yield from machine.folders(facts)
    yield from machine.tables(tabur)
    yield from machine.stores(tabur)
    names = [name for name in NAMES if name == chosen or is_here(name, machine.root)]
    found = [manager(name, plan) for name in names]
    yield from machine.files(found)
    taken = next((each for each in found if chosen in (None, each.name)), None)
    if taken is None:
        yield Step(
            "services",
            State.LEFT,
            "Neither Supervisor, systemd nor cron is here. Install one (apt-get install "
            "supervisor) and repeat this, or see: tabur deploy:compose --help",
        )
        return
    if taken.name == "systemd":
        try:
            check_env_file(plan)
        except ConfigError as error:
            yield Step(file.name, State.FAILED, str(error))
    yield from _install(machine, taken, yes=yes)


def _install(machine: Setup, taken: Manager, *, yes: bool) -> Iterator[Step]:
    if yes:
        yield from machine.install(taken)
    elif there := list(machine.installed(taken)):
        yield from there
    else:
        yield Step(
            f"services of {taken.name}",
            State.LEFT,
            f"{machine.by_hand(taken)} (or as root: tabur setup --yes)",
        )
    if not taken.runs_workers:
        yield Step(
            "a worker",
            State.LEFT,
            "cron starts the scheduler alone. Keep tabur queue:work running: apt-get install "
            "supervisor, and repeat this.",
        )


def _account(given: str | None, folder: Path) -> Account:
    """Raises ConfigError."""
    user = worker_user(given, folder)
    numbers = numbers_of(user)
    if numbers is None:
        raise ConfigError(
            f"There is no user {user} on this machine. Make it: useradd --system --user-group "
            f"--shell /usr/sbin/nologin {user}"
        )
    if user == ROOT:
        click.echo("tabur: Workers will run as root, and so will whatever a job starts.", err=True)
    if os.geteuid() not in (0, numbers[0]):
        raise ConfigError(
            f"You are not {user}, and only root may set up things for others: sudo -u {user} …"
        )
    return Account(user, *numbers)


def _load(text: str) -> None:
    """What services will see. In a dry run, something for a key that is still to be made."""
    for name, value in read(text).items():
        os.environ.setdefault(name, value)
    os.environ.setdefault(KEY, "of-a-dry-run")


def _tell(left: list[str], *, failed: bool, dry: bool) -> None:
    click.echo()
    if left:
        click.secho("  Left for you:", bold=True)
        for each in left:
            click.echo(f"  - {each}")
    elif dry:
        click.echo("  Nothing was done.")
    elif not failed:
        click.secho("  All is done.", fg="green")
    click.echo()
