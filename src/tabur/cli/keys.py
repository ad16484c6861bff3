"""Keys: `key:generate` and `keys:rotate`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import info
from tabur.deploy.envfile import changed, read, write
from tabur.deploy.setup import KEY
from tabur.errors import ConfigError
from tabur.jobs.keyring import new_key
from tabur.operations.rotating import Rotated, rotate

PREVIOUS = "TABUR_PREVIOUS_KEYS"


@click.command("key:generate", cls=Command)
@click.option("--show", is_flag=True, help="Print a new key, and write nothing.")
@click.option("--force", is_flag=True, help="Also where there is one: it becomes a previous key.")
@click.pass_obj
def generate(session: Session, show: bool, force: bool) -> None:
    """Write a new TABUR_KEY to .env, or to --env-file.

    A key that is there stays, unless --force is given: then it becomes the first of
    TABUR_PREVIOUS_KEYS, and what it has sealed still opens.
    """
    key = new_key()
    if show:
        click.echo(key)
        return
    file = Path(session.env_file or ".env")
    text = _text_of(file)
    there = read(text)
    values = {KEY: key}
    if before := there.get(KEY):
        if not force:
            raise ConfigError(
                f"{file} has a {KEY}. --force puts a new one there and keeps this one as a "
                "previous key, so that what it has sealed still opens."
            )
        values[PREVIOUS] = _with_previous(before, there.get(PREVIOUS, ""))
    write(file, changed(text, values))
    info("Application key set successfully.")
    if before:
        click.echo("  Restart what uses it: web, workers, schedulers. Then: tabur keys:rotate")
    if os.environ.get(KEY, before) != before:
        click.echo(f"tabur: {KEY} is set in the environment, which wins over {file}.", err=True)


@click.command("keys:rotate", cls=Command)
@click.option(
    "--vouch",
    is_flag=True,
    help="Also sign what nobody has signed: once, when TABUR_SIGN is turned on.",
)
@click.pass_obj
def rotate_keys(session: Session, vouch: bool) -> None:
    """Bring all that is encrypted or signed under the current key, while workers run.

    Payloads and results of every job that is kept, and what schedules keep. Safe to end and to
    repeat. When all is under the current key, the previous ones can go.
    """
    app = open_app(session)
    left = 0
    for connection in app.connections:
        done = rotate(app.driver_of(connection), app.seals, vouch=vouch, tell=_progress)
        info(f"[{connection}] {done.rewritten:,} bodies of {done.looked:,} jobs sealed anew.")
        for job_id, reason in done.unopened.items():
            click.echo(f"  {job_id}: {reason}")
        if done.left > len(done.unopened):
            click.echo(f"  … and {done.left - len(done.unopened):,} more.")
        left += done.left
    schedules, refused = app.schedules.rotate(vouch=vouch)
    if schedules:
        click.echo(f"  {schedules:,} schedules sealed anew.")
    for name, reason in refused.items():
        click.echo(f"  {name}: {reason}")
    raise SystemExit(1 if left or refused else 0)


def _progress(done: Rotated) -> None:
    if sys.stderr.isatty():
        click.echo(f"  {done.looked:,} jobs looked at\r", nl=False, err=True)


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8") if file.exists() else ""
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None


def _with_previous(key: str, previous: str) -> str:
    if "," in key:
        raise ConfigError(
            f"The {KEY} that is there holds a comma, and commas part {PREVIOUS}: pass it as "
            "Tabur(previous_keys=[…]), and take it out of the file."
        )
    return ",".join(filter(None, (key, previous)))
