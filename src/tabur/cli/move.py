"""`tabur queue:move`: what waits, from one store to another."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import click

from tabur.cli.group import INTERRUPTED, Command, Session
from tabur.cli.opening import connection_of, open_app
from tabur.cli.printing import info
from tabur.errors import ConfigError, StoreUnavailable, StoreUnreachable
from tabur.operations.moving import Moved, Moving


@click.command("queue:move", cls=Command)
@click.option("--from", "source", metavar="CONNECTION", required=True, help="Where they wait.")
@click.option("--to", "target", metavar="CONNECTION", required=True, help="Where they go.")
@click.option("--queue", metavar="NAME", help="Only this queue. [all]")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many jobs. [all]")
@click.pass_obj
def move(session: Session, source: str, target: str, queue: str | None, limit: int | None) -> None:
    """Move jobs that wait to another connection, while workers run on both.

    Ctrl-C ends it after the jobs that are on their way. What an earlier move did not bring to its
    end is finished first.
    """
    app = open_app(session)
    names = [connection_of(app, each) for each in (source, target)]
    for name in names:
        if name not in ("database", "redis"):
            raise ConfigError(f"{name} keeps nothing that could be moved: database and redis do.")
    if source == target:
        raise ConfigError(f"The jobs of {source} are on {target} already.")
    asked = threading.Event()

    def stop(number: int, frame: Any) -> None:
        asked.set()

    def go_on(moved: int) -> bool:
        if moved and sys.stderr.isatty():
            click.echo(f"  {moved:,} moved\r", nl=False, err=True)
        return not asked.is_set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        moved = Moving(
            app.driver_of(source), app.driver_of(target), queue=queue, limit=limit, go_on=go_on
        ).run()
    except StoreUnreachable as error:
        raise StoreUnreachable(f"{error} Nothing is lost: run the same command again.") from error
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"{error} Some jobs may stand taken out of {source}, shown as blocked: run the same "
            "command again, and it brings them to their end."
        ) from error
    finally:
        signal.signal(signal.SIGINT, before)
    _tell(moved, source, target)
    if asked.is_set():
        sys.exit(INTERRUPTED)


def _tell(moved: Moved, source: str, target: str) -> None:
    noun = "job" if moved.moved == 1 else "jobs"
    info(f"Moved {moved.moved:,} {noun} from [{source}] to [{target}].")
    for count, what in (
        (moved.finished, "of them, an earlier move had left on the way"),
        (moved.blocked, f"blocked by other jobs, stay on {source}"),
        (moved.processing, f"running, stay on {source} and end there"),
    ):
        if count:
            click.echo(f"  {count:,} {what}.")
