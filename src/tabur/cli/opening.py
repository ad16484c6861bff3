"""The app a command works for, opened; an error in the user's own module as one line."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tabur.cli.group import Session
from tabur.errors import ConfigError, TaburError
from tabur.worker.load import find_app, load_app

if TYPE_CHECKING:
    from tabur.app import Tabur
    from tabur.drivers.contract import Driver

_OURS = str(Path(__file__).parents[1])
_STDLIB = str(Path(traceback.__file__).parent)


def open_app(session: Session) -> Tabur:
    """The Tabur object. Raises ConfigError where none is found, ClickException where the module
    that holds it fails."""
    return open_at(find_app(session.app))


def open_at(spec: str) -> Tabur:
    try:
        app: Tabur = load_app(spec)
    except (Exception, SystemExit) as error:
        place = _place(error)
        if place is None and isinstance(error, TaburError):
            raise
        raise click.ClickException(
            f"{place or spec}: {type(error).__name__}: {error} "
            f"(while --app {spec} was loaded; -v shows the traceback)"
        ) from error
    return app


def connection_of(app: Tabur, given: str | None) -> str:
    """The connection that a command is for: `given`, or the default one. Raises ConfigError for
    one that the app does not have."""
    name = app.connection if given is None else given
    has_url = name == "database" or (name == "redis" and app.settings.redis_url is not None)
    if name in app.connections or has_url or (name == "failover" and app.settings.failover):
        return name
    known = ", ".join(app.connections)
    todo = "Set REDIS_URL." if name == "redis" else "Set QUEUE_CONNECTION or QUEUE_CONNECTIONS."
    raise ConfigError(f"This app has no connection {name!r}; there are: {known}. {todo}")


def queue_of(app: Tabur, given: str) -> tuple[Driver, str]:
    """The store and the name of the queue that `[CONNECTION:]QUEUE` means. Raises UsageError,
    ConfigError."""
    connection, colon, queue = given.strip().rpartition(":")
    if not queue:
        raise click.UsageError("Which queue? Write default, or redis:default.")
    return app.driver_of(connection_of(app, connection if colon else None)), queue


def declared_queues(app: Tabur) -> set[str]:
    """The queues that the app's jobs go to by themselves."""
    return {app.settings.queue} | {
        each.options.queue for each in app.registry if each.options.queue is not None
    }


def _place(error: BaseException) -> str | None:
    """The last line of the user's that was being run, as file:line."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}:{error.lineno}"
    theirs = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, "<", _STDLIB))
        and "site-packages" not in frame.filename
    ]
    return f"{_shown(theirs[-1].filename)}:{theirs[-1].lineno}" if theirs else None


def _shown(filename: str) -> str:
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except ValueError:
        return filename
