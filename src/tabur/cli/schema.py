"""`tabur migrate`."""

from __future__ import annotations

import click

from tabur.worker.load import find_app, load_app


@click.command()
@click.pass_obj
def migrate(app: str | None) -> None:
    """Make Tabur's tables, or bring them up to date."""
    done = load_app(find_app(app)).migrate()
    for step in done:
        click.echo(f"  {step} DONE")
    if not done:
        click.echo("  Nothing to migrate.")
