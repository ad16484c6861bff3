"""`tabur health`: whether the workers of this host are well; for probes, so it is quick."""

from __future__ import annotations

from pathlib import Path

import click

from tabur.cli.group import Command, Session
from tabur.cli.printing import json, table
from tabur.config import from_env
from tabur.worker.supervision.probe import HostSeen, ProcessSeen, SupervisorSeen, probe


@click.command("health", cls=Command)
@click.option(
    "--within",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds in which each process has to have polled the store.",
)
@click.option("--ready", is_flag=True, help="Ask whether jobs are worked, not only who hangs.")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the workers leave word. [TABUR_RUN, else var/run]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def health(session: Session, within: float, ready: bool, run: Path | None, as_json: bool) -> None:
    """Tell whether the workers of this host are well: exit code 0, else 1.

    Neither the store nor the app is asked, so a store that is down fails --ready alone: no restart
    of a worker would mend it.
    """
    folder = run or from_env(".env", {}).run
    seen = probe(folder, within=within)
    if as_json:
        json(seen)
    elif seen.supervisors:
        table(
            ("Process id", "Does", "Polled", "Running", "Ended", "Well"),
            [row for each in seen.supervisors for row in _rows(each)],
        )
    if not seen.supervisors:
        raise click.ClickException(_nobody(seen, folder))
    if not (seen.ready if ready else seen.alive):
        raise SystemExit(1)


def _rows(seen: SupervisorSeen) -> list[tuple[str, ...]]:
    does = f"supervises [{seen.connection}] {','.join(seen.queues)}"
    unready = f"yes, but not ready: {seen.unready}" if seen.unready else "yes"
    first = (str(seen.pid), does, _ago(seen.polled), "", "", _well(seen.wrong, unready))
    return [first, *(_row(each) for each in seen.processes)]


def _row(seen: ProcessSeen) -> tuple[str, ...]:
    return (
        f"  {seen.pid}",
        _DOES[seen.doing],
        _ago(seen.polled),
        f"{seen.running:,}",
        f"{seen.ended:,}",
        _well(seen.wrong, "yes"),
    )


def _well(wrong: str | None, otherwise: str) -> str:
    return f"NO: it {wrong}" if wrong else otherwise


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _nobody(seen: HostSeen, folder: Path) -> str:
    others = f" (only of {', '.join(seen.elsewhere)})" if seen.elsewhere else ""
    return (
        f"No worker runs here, by what lies in {folder.absolute()}{others}. Start one: tabur "
        "queue:work. If one runs, name the folder that it has: TABUR_RUN, or --run."
    )


_DOES = {
    "starting": "loads the app",
    "working": "works",
    "retiring": "finishes, to be replaced",
    "ending": "finishes",
    "ended": "has ended",
}
