"""The group of commands; each command's module is imported when it is called."""

from __future__ import annotations

import importlib

import click

#: Command → module under `tabur.cli` and the function in it.
COMMANDS = {
    "migrate": "schema:migrate",
    "queue:work": "work:work",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(f"tabur.cli.{module}"), name)
        return command


@click.group(cls=LazyGroup)
@click.option("--app", help="Where the Tabur object is: package.module:name. [TABUR_APP]")
@click.pass_context
def tabur(ctx: click.Context, app: str | None) -> None:
    """Background jobs and schedules for Python web applications."""
    ctx.obj = app
