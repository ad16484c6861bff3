"""What is removed: `queue:prune-failed`, `:prune-completed`, `:prune-cancelled`, `queue:erase`."""

from __future__ import annotations

from datetime import timedelta

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import info
from tabur.cli.queues import is_terminal
from tabur.cli.values import SECONDS
from tabur.model.states import State
from tabur.operations.acting import Acting
from tabur.operations.erasing import WAIT, Erased, Erasing

#: The shortest: for so long an id stays known.
_HOUR, _LONGEST = 1.0, 87_600.0
STILL_RUNNING = 1

_hours = click.option(
    "--hours",
    type=click.FloatRange(min=_HOUR, max=_LONGEST),
    default=24.0,
    show_default=True,
    help="Those that ended longer ago than so many hours.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only tell how many that would be.")


@click.command("queue:prune-failed", cls=Command)
@_hours
@_dry_run
@click.pass_obj
def prune_failed(session: Session, hours: float, dry_run: bool) -> None:
    """Remove jobs that failed long ago, with their history."""
    _prune(session, State.FAILED, hours, dry_run=dry_run)


@click.command("queue:prune-completed", cls=Command)
@_hours
@_dry_run
@click.pass_obj
def prune_completed(session: Session, hours: float, dry_run: bool) -> None:
    """Remove jobs that completed long ago, with their history."""
    _prune(session, State.COMPLETED, hours, dry_run=dry_run)


@click.command("queue:prune-cancelled", cls=Command)
@_hours
@_dry_run
@click.pass_obj
def prune_cancelled(session: Session, hours: float, dry_run: bool) -> None:
    """Remove jobs that were cancelled long ago, with their history."""
    _prune(session, State.CANCELLED, hours, dry_run=dry_run)


@click.command("queue:erase", cls=Command)
@click.option("--tenant", metavar="NAME", help="All of this tenant, whoever of its users.")
@click.option("--user", metavar="NAME", help="Only this user: of the tenant, or of none.")
@click.option(
    "--wait",
    type=SECONDS,
    default=WAIT,
    show_default=True,
    help="Seconds that running jobs are given to stop.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what that would be.")
@click.option("--force", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(
    session: Session,
    *,
    tenant: str | None,
    user: str | None,
    wait: float,
    dry_run: bool,
    force: bool,
) -> None:
    """Erase all jobs of one tenant or person, with arguments, results, history and files.

    What has not finished is cancelled first, and what runs is asked to stop; what does not stop in
    time is named, and the exit code is 1. Safe to repeat.
    """
    if not tenant and not user:
        raise click.UsageError("Whose jobs? Give --tenant=NAME, --user=NAME, or both.")
    app = open_app(session)
    erasing = Erasing(app.drivers, app.settings.attachments, tenant=tenant, user=user)
    whose = _whose(tenant, user)
    if dry_run:
        info(f"{_told(erasing.count())} of {whose} would be erased.")
        return
    if not force:
        if not is_terminal():
            raise click.ClickException(f"Give --force to erase all jobs of {whose}.")
        click.confirm(f"Erase {_told(erasing.count())} of {whose}, for good?", abort=True)
    erased = erasing.erase(wait=wait)
    info(f"{_told(erased)} of {whose} erased.")
    if not erased.is_complete:
        for job_id in erased.running:
            click.echo(f"  {job_id} has been asked to stop, and still runs.")
        click.echo("  Run the same command again once they have ended.")
        raise SystemExit(STILL_RUNNING)


def _prune(session: Session, state: State, hours: float, *, dry_run: bool) -> None:
    acting = Acting(*open_app(session).drivers)
    older_than = timedelta(hours=hours)
    if dry_run:
        counted, how = acting.prunable(state, older_than=older_than), "would be deleted"
    else:
        counted, how = acting.prune(state, older_than=older_than), "deleted"
    info(f"{_jobs(counted, f'{state} ')} that ended more than {hours:g} hours ago {how}.")


def _whose(tenant: str | None, user: str | None) -> str:
    parts = {"tenant": tenant, "user": user}
    return ", ".join(f"{what} {name!r}" for what, name in parts.items() if name)


def _told(erased: Erased) -> str:
    parts = [_jobs(erased.jobs)]
    for count, one, many in (
        (erased.files, "file", "files"),
        (erased.schedules, "schedule", "schedules"),
    ):
        if count:
            parts.append(f"{count:,} {one if count == 1 else many}")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _jobs(count: int, which: str = "") -> str:
    return f"{count:,} {which}{'job' if count == 1 else 'jobs'}"
