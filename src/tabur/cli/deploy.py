"""`tabur deploy:…`: files that let a machine run the app's workers and its scheduler."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_at
from tabur.cli.work import work
from tabur.config import DEFAULT_REDIS_URL
from tabur.deploy.compose import compose
from tabur.deploy.crontab import crontab
from tabur.deploy.envfile import unlike
from tabur.deploy.nssm import USER as NSSM_USER
from tabur.deploy.nssm import nssm
from tabur.deploy.plan import File, Plan, app_name, join, scheduler, this_executable, workers
from tabur.deploy.supervisor import supervisor
from tabur.deploy.systemd import systemd
from tabur.deploy.users import ROOT, is_known, numbers_of, worker_user
from tabur.errors import ConfigError
from tabur.worker.load import find_app

if TYPE_CHECKING:
    from tabur.app import Tabur

F = TypeVar("F", bound=Callable[..., Any])

_SHARED = (
    click.option("--user", metavar="NAME", help="Whom it runs as. [the folder's owner]"),
    click.option(
        "--directory",
        metavar="FOLDER",
        help="Where the app lies on the machine that is to run it. [here]",
    ),
    click.option(
        "--executable",
        metavar="FILE",
        help="The command tabur on that machine. [the one that runs now]",
    ),
    click.option("--name", metavar="NAME", help="What services are called by. [the app's package]"),
    click.option("--log", metavar="FOLDER", help="Where logs go. [where the format keeps them]"),
    click.option(
        "--out",
        metavar="FILE",
        help="Write it there; into a folder that is there or ends in /. [standard output]",
    ),
    click.option("--force", is_flag=True, help="Overwrite what is there."),
)
_WORKERS = (
    click.option(
        "--queue",
        "queues",
        multiple=True,
        metavar="NAME,…",
        help="Queues of a worker in strict order; once for each worker. [all declared]",
    ),
    click.option("--processes", type=click.IntRange(1, 256), help="Of each worker. [1]"),
    click.option("--no-scheduler", is_flag=True, help="Workers alone."),
    click.argument("options", nargs=-1, type=click.UNPROCESSED),
)


def _takes(*groups: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed([each for group in groups for each in group]):
            function = option(function)
        return function

    return decorate


@click.command("deploy:supervisor", cls=Command)
@_takes(_WORKERS, _SHARED)
@click.pass_obj
def to_supervisor(session: Session, /, **given: Any) -> None:
    """Write a configuration for Supervisor.

    OPTIONS are further ones of queue:work, behind two dashes: tabur deploy:supervisor -- --grace=60
    """
    _, plan = _plan(session, given)
    _give(supervisor(plan), plan.user, given)


@click.command("deploy:systemd", cls=Command)
@_takes(_WORKERS, _SHARED)
@click.pass_obj
def to_systemd(session: Session, /, **given: Any) -> None:
    """Write a unit of systemd for each worker, and one for the scheduler.

    OPTIONS are further ones of queue:work, behind two dashes: tabur deploy:systemd -- --grace=60
    """
    _, plan = _plan(session, given)
    check_env_file(plan)
    _give(systemd(plan), plan.user, given)


@click.command("deploy:crontab", cls=Command)
@_takes(_SHARED)
@click.pass_obj
def to_crontab(session: Session, /, **given: Any) -> None:
    """Write the line by which cron runs what is due, each minute.

    With --user for /etc/cron.d, where a line names its user; else for crontab -e.
    """
    _, plan = _plan(session, given)
    _give(crontab(plan, system=given["user"] is not None), plan.user, given)


@click.command("deploy:nssm", cls=Command)
@_takes(_WORKERS, _SHARED)
@click.pass_obj
def to_nssm(session: Session, /, **given: Any) -> None:
    """Write a batch file that makes Windows services with NSSM.

    OPTIONS are further ones of queue:work, behind two dashes: tabur deploy:nssm -- --grace=60
    """
    _, plan = _plan(session, given, user=given["user"] or NSSM_USER)
    _give(nssm(plan), plan.user, given)


@click.command("deploy:compose", cls=Command)
@click.option("--web", metavar="COMMAND", help="How the web server is started. [uvicorn, if found]")
@_takes(_WORKERS, _SHARED)
@click.pass_obj
def to_compose(session: Session, /, web: str | None, **given: Any) -> None:
    """Write a compose file for containers: web, workers, scheduler, and the store.

    OPTIONS are further ones of queue:work, behind two dashes: tabur deploy:compose -- --grace=60
    """
    app, plan = _plan(session, given | {"directory": given["directory"] or _in_container(session)})
    numbers = numbers_of(plan.user)
    user = f"{numbers[0]}:{numbers[1]}" if numbers else plan.user
    made = compose(plan, user=user, web=web or _asgi(session), variables=store_variables(app))
    _give(made, plan.user, given)


def _plan(
    session: Session, given: dict[str, Any], *, user: str | None = None
) -> tuple[Tabur, Plan]:
    """`user` where it is none of this system. Raises ConfigError, UsageError."""
    spec = find_app(session.app)
    directory = given["directory"] or str(Path.cwd())
    user = user or worker_user(given["user"], Path(directory))
    app = open_at(spec)
    return app, make_plan(app, spec, user=user, directory=directory, session=session, given=given)


def make_plan(
    app: Tabur,
    spec: str,
    *,
    user: str,
    directory: str,
    session: Session,
    given: dict[str, Any],
) -> Plan:
    """`given` holds what the commands' options say. Raises ConfigError, UsageError."""
    name = given["name"] or app_name(spec, Path(directory))
    options = tuple(given.get("options", ()))
    return Plan(
        name=name,
        app=spec,
        directory=directory.rstrip("/\\") or directory,
        executable=(given["executable"],) if given["executable"] else this_executable(),
        user=user,
        env_file=_env_file(session, directory),
        workers=workers(
            app,
            name,
            queues=given.get("queues", ()),
            processes=given.get("processes"),
            grace=_grace(options),
            options=options,
        ),
        scheduler=None if given.get("no_scheduler") else scheduler(name),
        log=given["log"],
        stores=tuple(url for _, url in store_variables(app)),
    )


def check_env_file(plan: Plan) -> None:
    """Raises ConfigError where systemd would read other settings than `tabur` does."""
    try:
        text = Path(plan.env_file or join(plan.directory, ".env")).read_text("utf-8")
    except OSError:
        return  # of another machine, or still to be written
    found = [f"{name or 'what stands there'} (line {number})" for number, name in unlike(text)]
    if found:
        raise ConfigError(
            f"systemd would read otherwise than tabur, in {plan.env_file or '.env'}: "
            f"{', '.join(found)}. Write NAME=value or NAME='value': no export, no comment behind a "
            "value, no ${…}, no backslash."
        )


def store_variables(app: Tabur) -> list[tuple[str, str]]:
    """The URLs of the stores in use, with the variables that they stand in."""
    settings = app.settings
    urls = {"database": settings.database_url, "redis": settings.redis_url or DEFAULT_REDIS_URL}
    variables = {"database": "DATABASE_URL", "redis": "REDIS_URL"}
    found = [(variables[each], urls[each]) for each in app.connections if each in urls]
    if settings.outbox_url is not None:
        found.append(("TABUR_OUTBOX_URL", settings.outbox_url))
    return found


def _env_file(session: Session, directory: str) -> str | None:
    if session.env_file is not None:
        return os.path.abspath(session.env_file)  # noqa: PTH100  # as written, links included
    usual = join(directory, ".env")
    elsewhere = not Path(directory).is_dir()
    return usual if elsewhere or Path(usual).is_file() else None


def _grace(options: tuple[str, ...]) -> float:
    """What the further options say. Raises UsageError for what `queue:work` would refuse."""
    parsed = work.make_context("tabur queue:work", list(options), obj=Session()).params
    for name in ("queue", "processes"):
        if parsed[name] is not None:
            raise click.UsageError(f"--{name} belongs before the two dashes.")
    if parsed["connection"] is not None:
        raise click.UsageError("Name a connection with its queues: --queue=redis:high,default.")
    if parsed["once"] or parsed["stop_when_empty"] or parsed["stop_when_empty_for"]:
        raise click.UsageError(
            "A worker that stops when it is done would be started again at once. Leave out --once "
            "and --stop-when-empty."
        )
    grace: float = parsed["grace"]
    return grace


def _in_container(session: Session) -> str:
    return f"/srv/{app_name(find_app(session.app), Path.cwd())}"


def _asgi(session: Session) -> str | None:
    """The web server's command, where the app's module holds an application of Starlette or
    FastAPI."""
    import sys

    module = find_app(session.app).partition(":")[0]
    for name, found in vars(sys.modules[module]).items():
        if any(each.__module__ == "starlette.applications" for each in type(found).__mro__):
            return f"uvicorn {module}:{name} --host=0.0.0.0 --port=8000"
    return None


def _give(files: list[File], user: str, given: dict[str, Any]) -> None:
    """To the file or folder that was asked for, or to standard output; what is to be known goes to
    standard error."""
    out: str | None = given["out"]
    if out is None:
        click.echo("\n".join(each.text for each in files), nl=False)
    else:
        _write(files, out, force=given["force"])
    if user == ROOT or numbers_of(user) == (0, 0):
        click.echo(
            "tabur: Workers will run as root, and so will whatever a job starts. A user of their "
            "own is safer: --user NAME.",
            err=True,
        )
    elif not given["directory"] and "\\" not in user and not is_known(user):
        click.echo(
            f"tabur: There is no user {user} on this machine. Make it: useradd --system "
            f"--user-group --shell /usr/sbin/nologin {user}",
            err=True,
        )


def _write(files: list[File], out: str, *, force: bool) -> None:
    folder = Path(out).is_dir() or out.endswith(("/", os.sep))
    if len(files) > 1 and not folder:
        names = ", ".join(each.name for each in files)
        raise click.ClickException(f"These are {len(files)} files ({names}). Name a folder: {out}/")
    targets = [(Path(out, each.name if folder else ""), each.text) for each in files]
    for target, _ in targets:
        if target.exists() and not force:
            raise click.ClickException(
                f"{target} is there already, and is left as it is. --force overwrites it."
            )
    try:
        for target, text in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
            click.echo(f"Written: {target}", err=True)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from None
