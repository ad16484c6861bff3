"""`tabur migrate`."""

from __future__ import annotations

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import dotted, info


@click.command("migrate", cls=Command)
@click.option("--sql", is_flag=True, help="Print the statements, and run none.")
@click.pass_obj
def migrate(session: Session, sql: bool) -> None:
    """Make Tabur's tables, or bring them up to date, on every connection.

    Safe to repeat, and while workers run.
    """
    app = open_app(session)
    if sql:
        for statement in (each for driver in app.drivers for each in driver.script()):
            click.echo(f"{statement.rstrip().rstrip(';')};\n")
        return
    done = app.migrate()
    info("Running migrations." if done else "Nothing to migrate.")
    for step in done:
        dotted(step, "DONE", colour="green")
