"""`tabur migrate`."""

from __future__ import annotations

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import dotted, info


@click.command("migrate", cls=Command)
@click.pass_obj
def migrate(session: Session) -> None:
    """Make Tabur's tables, or bring them up to date. Safe to repeat, and while workers run."""
    done = open_app(session).migrate()
    info("Running migrations." if done else "Nothing to migrate.")
    for step in done:
        dotted(step, "DONE", colour="green")
