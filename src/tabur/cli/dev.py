"""`tabur dev`, and `queue:listen` for those who know Laravel."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import click

from tabur.cli.developing.programs import Program, Programs, python, say
from tabur.cli.developing.watching import watch
from tabur.cli.group import COMMANDS, Command, Session
from tabur.errors import ConfigError
from tabur.worker.load import find_app, from_pyproject

#: What jobs that run have for finishing when code has changed (seconds); then they run again.
GRACE = "5"


@click.command("dev", cls=Command)
@click.option(
    "--web",
    metavar="MODULE:APP",
    help="The web application; with () behind it a function that makes it. [[tool.tabur] web]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the web listens.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True)
@click.option("--no-web", is_flag=True, help="Start no web.")
@click.option("--poll", is_flag=True, help="Look at the files, where the system does not tell.")
@click.pass_obj
def dev(
    session: Session, *, web: str | None, host: str, port: int, no_web: bool, poll: bool
) -> None:
    """Run the web, a worker for all queues and the scheduler of an app in one terminal.

    All start anew when code changes (.py, .toml, .env below this folder). Ctrl-C ends them.
    """
    spec = find_app(session.app)
    place = None if no_web else web or from_pyproject("web")
    programs = []
    if place is not None:
        programs.append(Program("web", _web(place, host, port), "cyan", _narrower()))
    elif not no_web:
        say('No web: give --web module:app, or write web = "module:app" into [tool.tabur].')
    work = ("queue:work", "--all-queues", f"--grace={GRACE}")
    programs.append(Program("worker", _tabur(spec, *work), "green", _narrower()))
    if "schedule:work" in COMMANDS:
        schedule = _tabur(spec, "schedule:work")
        programs.append(Program("scheduler", schedule, "magenta", _narrower()))
    if place is not None:
        say(f"http://{host}:{port}")
    _run(programs, poll=poll)


@click.command(
    "queue:listen",
    cls=Command,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]},
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF QUEUE:WORK]")
@click.pass_obj
def listen(session: Session, options: tuple[str, ...]) -> None:
    """Run a worker that starts anew when code changes, for development.

    It takes what queue:work takes. In production: queue:work, and queue:restart after a deployment.
    """
    verbose = ("-v",) if session.verbose else ()
    command = _tabur(find_app(session.app), "queue:work", *options, *verbose)
    _run([Program("worker", command)], poll=False)


def _run(programs: list[Program], *, poll: bool) -> None:
    running = Programs(programs)

    def stop(number: int, frame: Any) -> None:
        running.stop()

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    watch(Path.cwd(), running.change, poll=poll)
    running.run()


def _tabur(spec: str, *words: str) -> list[str]:
    return python("-m", "tabur", "--app", spec, *words)


def _web(place: str, host: str, port: int) -> list[str]:
    try:
        import uvicorn  # noqa: F401  # only to say so here, not in a process that keeps ending
    except ModuleNotFoundError:
        raise ConfigError("The web is served by uvicorn. Run: pip install uvicorn") from None
    name = place.removesuffix("()")
    if not all(name.partition(":")):
        raise ConfigError(f"--web {place!r}: write it as package.module:app.")
    factory = ["--factory"] if name != place else []
    options = [f"--host={host}", f"--port={port}", "--timeout-graceful-shutdown=2"]
    return python("-m", "uvicorn", name, "--app-dir=.", *options, *factory)


def _narrower() -> dict[str, str]:
    """What stands before each line takes its room."""
    width = shutil.get_terminal_size((100, 24)).columns - len("scheduler | ")
    return {"COLUMNS": str(max(40, width)), "PYTHONUNBUFFERED": "1"}
