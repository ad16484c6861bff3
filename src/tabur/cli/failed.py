"""Failed jobs: `queue:failed` and `:show`, `queue:retry`, `queue:forget`, `queue:flush`."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import dotted, info, json, json_list, moment, table
from tabur.errors import JobNotFound, TaburError
from tabur.model.outcome import Ending
from tabur.operations.acting import Acting
from tabur.operations.reading import Reading
from tabur.operations.results import AttemptShown, JobShown


@click.command("queue:failed", cls=Command)
@click.option("--queue", metavar="NAME", help="Only those of this queue.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="The newest so many in the table; 0: all. --json gives all.",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one job a line.")
@click.pass_obj
def failed(session: Session, queue: str | None, limit: int, as_json: bool) -> None:
    """List the failed jobs of all connections, newest first."""
    reading = Reading(*open_app(session).drivers)
    jobs = reading.failed(queue=queue)
    if as_json:
        json_list(jobs)
        return
    shown = list(islice(jobs, limit or None))
    if not shown:
        info("No failed jobs found.")
        return
    table(
        ("ID", "Connection", "Queue", "Job", "Failed at", "Error"),
        [
            (
                job.id,
                job.connection,
                job.queue,
                job.job,
                moment(job.failed_at),
                _short(f"{job.exception}: {job.message}" if job.exception else ""),
            )
            for job in shown
        ],
    )
    if next(jobs, None) is not None:
        click.echo(f"  The newest {len(shown)} are shown; --limit=0 shows all.")


@click.command("queue:failed:show", cls=Command)
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def show(session: Session, job_id: str, as_json: bool) -> None:
    """Show every attempt of a job, with its errors and tracebacks.

    ID may be the beginning of an id.
    """
    app = open_app(session)
    job = Reading(*app.drivers, seals=app.seals).job(job_id)
    if as_json:
        json(job)
        return
    _describe(job)
    for attempt in job.history:
        _describe_attempt(attempt)


@click.command("queue:retry", cls=Command)
@click.argument("job_ids", metavar="ID…|all", nargs=-1)
@click.option("--queue", metavar="NAME", help="All failed jobs of this queue.")
@click.option("--range", "id_range", metavar="FROM-TO", hidden=True)
@click.pass_obj
def retry(
    session: Session, job_ids: tuple[str, ...], queue: str | None, id_range: str | None
) -> None:
    """Run failed (or cancelled) jobs again, their attempts at zero.

    ID may be the beginning of an id; `all` stands for every failed job.
    """
    if id_range is not None:
        raise click.UsageError(
            "--range is for numbered jobs, and ids here are UUIDs. Name the ids (their beginning "
            "will do), a queue (--queue=mail), or all."
        )
    if bool(job_ids) == bool(queue) and job_ids != ("all",):
        raise click.UsageError("Which jobs? Name ids, or all, or --queue=NAME.")
    acting = Acting(*open_app(session).drivers)
    if queue or job_ids == ("all",):
        retried = 0
        for job_id in acting.retry_failed(queue=queue):
            if not retried:
                info("Pushing failed queue jobs back onto the queue.")
            dotted(job_id, "DONE", colour="green")
            retried += 1
        if not retried:
            info("No retryable jobs found.")
        return
    info("Pushing failed queue jobs back onto the queue.")
    missing = 0
    for given in job_ids:
        try:
            dotted(acting.retry(given), "DONE", colour="green")
        except JobNotFound:
            missing += 1
            click.echo(f"tabur: {_no_failed(given)}", err=True)
    if missing:
        raise SystemExit(1)


@click.command("queue:forget", cls=Command)
@click.argument("job_id", metavar="ID")
@click.pass_obj
def forget(session: Session, job_id: str) -> None:
    """Remove one failed job with its history.

    ID may be the beginning of an id.
    """
    try:
        found = Acting(*open_app(session).drivers).forget(job_id)
    except JobNotFound:
        raise TaburError(_no_failed(job_id)) from None
    info(f"Failed job {found} deleted.")


@click.command("queue:flush", cls=Command)
@click.option(
    "--hours",
    type=click.FloatRange(min=0, max=87_600),
    default=0.0,
    help="Only what failed longer ago than so many hours.",
)
@click.pass_obj
def flush(session: Session, hours: float) -> None:
    """Remove all failed jobs with their history."""
    removed = Acting(*open_app(session).drivers).flush(older_than=timedelta(hours=hours))
    noun = "job" if removed == 1 else "jobs"
    older = f" that failed more than {hours:g} hours ago" if hours else ""
    info(f"{removed:,} failed {noun}{older} deleted.")


def _no_failed(given: str) -> str:
    return f"No failed job has the id {given[:80]}. See: tabur queue:failed"


def _describe(job: JobShown) -> None:
    click.echo()
    dotted(click.style(job.job, bold=True), job.state.value.upper())
    rows = {
        "ID": job.id,
        "Connection": job.connection,
        "Queue": job.queue,
        "Created": moment(job.created_at),
        "Attempts": str(job.attempts) + (f", crashes {job.crashes}" if job.crashes else ""),
        "Owner": " / ".join(filter(None, (job.tenant, job.user))),
        "Arguments": _short(job.arguments, 1_000),
        "Progress": _progress(job),
        "Attachments": ", ".join(f"{each.name} ({each.size:,} bytes)" for each in job.attachments),
    }
    for name, value in rows.items():
        if value:
            click.echo(f"  {name:<12} {value}")


def _describe_attempt(attempt: AttemptShown) -> None:
    spent = "" if attempt.seconds is None else f" after {attempt.seconds:.2f} s"
    worker = f", worker {attempt.worker}" if attempt.worker else ""
    # A crash spends no attempt: there may be several beside one number.
    crashed = attempt.ending == Ending.CRASHED
    head = "Crashed" if crashed else f"Attempt {attempt.attempt}: {attempt.ending}"
    click.echo(f"\n  {head}{spent}, {moment(attempt.ended_at)}{worker}")
    if attempt.error is None:
        return
    click.secho(f"  {attempt.error.type}: {attempt.error.message}", fg="red")
    for line in attempt.error.traceback.splitlines():
        click.echo(f"    {line}")


def _progress(job: JobShown) -> str:
    progress = job.progress
    if not (progress.done or progress.total or progress.message or progress.warnings):
        return ""
    parts = [
        f"{progress.done:,}"
        + (f" of {progress.total:,}" if progress.total else "")
        + (f" {progress.unit}" if progress.unit else "")
    ]
    if progress.message:
        parts.append(progress.message)
    if progress.warnings:
        parts.append(f"{progress.warnings:,} warnings")
    return ", ".join(parts)


def _short(text: str, longest: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
