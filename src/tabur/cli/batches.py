"""Batches, chains and workflows: `queue:batches` and `:show`, `queue:retry-batch`,
`queue:prune-batches`."""

from __future__ import annotations

from datetime import timedelta

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import dotted, info, json, json_list, moment, table
from tabur.errors import BatchNotFound
from tabur.jobs.composing.handle import BatchStatus
from tabur.operations.batches import Batches, BatchShown

_HOURS = click.FloatRange(min=0, max=87_600)


@click.command("queue:batches", cls=Command)
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=10_000),
    default=50,
    show_default=True,
    help="The newest so many.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one batch a line.")
@click.pass_obj
def batches(session: Session, limit: int, as_json: bool) -> None:
    """List the batches, chains and workflows of all connections, newest first."""
    found = Batches(*open_app(session).drivers).newest(limit=limit)
    if as_json:
        json_list(found)
        return
    if not found:
        info("No batches found.")
        return
    table(
        ("ID", "Connection", "Kind", "Name", "State", "Done", "Failed", "Created at"),
        [
            (
                each.id,
                each.connection,
                each.kind,
                each.name,
                _state(each),
                f"{each.total - each.pending:,} of {each.total:,}",
                f"{each.failed:,}",
                moment(each.created_at),
            )
            for each in found
        ],
    )


@click.command("queue:batches:show", cls=Command)
@click.argument("batch_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(session: Session, batch_id: str, as_json: bool) -> None:
    """Show one batch, chain or workflow, with the newest of its failed jobs.

    ID may be the beginning of an id.
    """
    shown = Batches(*open_app(session).drivers).show(batch_id)
    if as_json:
        json(shown)
    else:
        _describe(shown)


@click.command("queue:retry-batch", cls=Command)
@click.argument("batch_ids", metavar="ID…", nargs=-1, required=True)
@click.pass_obj
def retry(session: Session, batch_ids: tuple[str, ...]) -> None:
    """Run again what has failed in batches, and what did not begin because of it.

    ID may be the beginning of an id.
    """
    found = Batches(*open_app(session).drivers)
    info("Pushing failed jobs of batches back onto the queue.")
    missing = 0
    for given in batch_ids:
        try:
            batch_id, retried = found.retry(given)
            dotted(batch_id, f"{retried:,} {'job' if retried == 1 else 'jobs'}", colour="green")
        except BatchNotFound:
            missing += 1
            click.echo(
                f"tabur: No batch has the id {given[:80]}. See: tabur queue:batches", err=True
            )
    if missing:
        raise SystemExit(1)


@click.command("queue:prune-batches", cls=Command)
@click.option(
    "--hours",
    type=_HOURS,
    default=24.0,
    show_default=True,
    help="Those that finished longer ago than so many hours.",
)
@click.option(
    "--unfinished",
    type=_HOURS,
    metavar="HOURS",
    help="Also those made longer ago that have not finished; what waits for them is cancelled.",
)
@click.pass_obj
def prune(session: Session, hours: float, unfinished: float | None) -> None:
    """Remove old batches; their jobs stay."""
    found = Batches(*open_app(session).drivers)
    _told(found.prune(older_than=timedelta(hours=hours)), "finished")
    if unfinished is not None:
        older_than = timedelta(hours=unfinished)
        _told(found.prune(older_than=older_than, unfinished=True), "unfinished")


def _told(pruned: int, which: str) -> None:
    info(f"{pruned:,} {which} {'batch' if pruned == 1 else 'batches'} deleted.")


def _state(batch: BatchStatus) -> str:
    if not batch.finished:
        return "running" if batch.cancelled_at is None else "cancelling"
    if batch.succeeded:
        return "completed"
    return "failed" if batch.failed else "cancelled"


def _describe(shown: BatchShown) -> None:
    batch = shown.status
    click.echo()
    dotted(click.style(batch.name or batch.kind, bold=True), _state(batch).upper())
    rows = {
        "ID": batch.id,
        "Kind": batch.kind,
        "Connection": batch.connection,
        "Jobs": f"{batch.total:,}: {batch.completed:,} completed, {batch.failed:,} failed, "
        f"{batch.cancelled:,} cancelled, {batch.pending:,} to come",
        "Created": moment(batch.created_at),
        "Cancelled": moment(batch.cancelled_at) if batch.cancelled_at else "",
        "Finished": moment(batch.finished_at) if batch.finished_at else "",
        "Owner": " / ".join(filter(None, (batch.tenant, batch.user))),
    }
    for name, value in rows.items():
        if value:
            click.echo(f"  {name:<12} {value}")
    if shown.steps:
        click.echo()
        for line in shown.steps.splitlines():
            click.echo(f"  {line}")
    for job in shown.failed:
        click.echo(f"\n  {job.id}  {job.job}")
        click.secho(f"  {job.exception}: {job.message}", fg="red")
