"""Looking at schedules and changing them: `schedule:list`, `schedule:next`, `schedule:pause` …"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from tabur.app import Tabur
from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import dotted, info, json, json_list, table
from tabur.errors import TaburError
from tabur.model.clock import as_datetime, now_us
from tabur.model.schedules import Origin
from tabur.model.timing import find_zone, parse_timing, times_of
from tabur.model.words import LANGUAGES, in_words
from tabur.scheduler.entry import Declared
from tabur.scheduler.stored import StoredSchedule, TickShown


class ScheduleShown(msgspec.Struct, frozen=True):
    """A line of `schedule:list`. `stored` False: no scheduler has run since it was declared."""

    name: str
    cron_expression: str
    timezone: str
    words: str
    runs: str
    origin: str
    is_active: bool
    next_run_at: datetime | None
    last_run_at: datetime | None
    missed: str
    overlap: str
    grace: float | None
    stored: bool
    description: str = ""
    problem: str | None = None


_zone_option = click.option("--timezone", metavar="ZONE", help="Whose clock is shown.")
_language_option = click.option(
    "--language", type=click.Choice(list(LANGUAGES)), default="en", help="Of the words. [en]"
)


@click.command("schedule:list", cls=Command)
@_zone_option
@click.option("--next", "by_next", is_flag=True, help="In the order in which they are due.")
@click.option("--environment", metavar="NAME", help="As if TABUR_ENV were this.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one schedule a line.")
@_language_option
@click.pass_obj
def list_schedules(  # noqa: PLR0917  # click passes them by name
    session: Session,
    timezone: str | None,
    by_next: bool,
    environment: str | None,
    as_json: bool,
    language: str,
) -> None:
    """List all schedules, those of the code and those made at run time."""
    app = open_app(session)
    zone = find_zone(timezone or app.settings.timezone)
    shown = _all(app, environment or app.settings.env, language)
    if by_next:
        shown = sorted(shown, key=lambda each: each.next_run_at or datetime.max.replace(tzinfo=UTC))
    if as_json:
        json_list(shown)
        return
    found = list(shown)
    if not found:
        info("No scheduled tasks have been defined.")
        return
    width = max(len(each.cron_expression) for each in found)
    click.echo()
    for each in found:
        _list_one(each, width, zone, session)
    click.echo()


@click.command("schedule:next", cls=Command)
@click.argument("name", required=False)
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True)
@_zone_option
@_language_option
@click.option("--cron", metavar="EXPRESSION", help="Of this expression in place of a schedule.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of moments.")
@click.pass_obj
def next_ticks(  # noqa: PLR0917  # click passes them by name
    session: Session,
    name: str | None,
    count: int,
    timezone: str | None,
    language: str,
    cron: str | None,
    as_json: bool,
) -> None:
    """Show when a schedule is due next, and its time in words."""
    if (name is None) == (cron is None):
        raise click.UsageError("Of which schedule? Name one, or write --cron='*/5 * * * *'.")
    if cron is not None:
        timing = parse_timing(cron, timezone or "UTC")
        upcoming = islice(times_of(timing).upcoming(now_us()), count)
        moments = [moment for each in upcoming if (moment := as_datetime(each))]
        said, zone = in_words(timing, language), find_zone(timing.timezone)
    else:
        app = open_app(session)
        assert name is not None
        schedule = app.schedules.find(name)
        moments, said = schedule.upcoming(count), schedule.in_words(language)
        zone = find_zone(timezone or schedule.timezone)
    if as_json:
        json(moments)
        return
    info(said)
    for each in moments:
        click.echo(f"  {_moment(each, zone)}")
    if not moments:
        click.echo("  It is paused: tabur schedule:resume")


@click.command("schedule:history", cls=Command)
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@_zone_option
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one tick a line.")
@click.pass_obj
def history(
    session: Session, name: str | None, limit: int, timezone: str | None, as_json: bool
) -> None:
    """Show what became of ticks, the latest first: dispatched, or skipped and missed with why."""
    app = open_app(session)
    zone = find_zone(timezone or app.settings.timezone)
    found = app.schedules.history(name, limit=limit)
    if as_json:
        json_list(found)
    elif found:
        table(
            ("Due at", "Schedule", "Became", "Decided", "Why or which job"),
            [_tick_row(each, zone) for each in found],
        )
    else:
        if name is not None and name not in app.schedule.declared():
            app.schedules.find(name)  # raises where there is none
        info("No ticks have been recorded.")


@click.command("schedule:test", cls=Command)
@click.option("--name", metavar="NAME", help="Which schedule.")
@click.option("--dispatch", is_flag=True, help="Send its job to the workers instead.")
@click.pass_obj
def test(session: Session, name: str | None, dispatch: bool) -> None:
    """Run a schedule's job here and now, whatever its time and its policies are."""
    app = open_app(session)
    declared = app.schedule.declared()
    if name is None:
        name = _chosen([*declared, *(n for n in _names(app) if n not in declared)])
    if name in declared:
        maker = app.maker(declared[name].connection)
        pending = maker.pending(maker.kept(declared[name].definition).job)
    else:
        pending = app.schedules.pending(name)
    if dispatch:
        info(f"Dispatched [{name}] as job {pending.dispatch().id}.")
        return
    info(f"Running [{name}].")
    try:
        result = pending.run()
    except TaburError:
        raise
    except Exception as error:
        raise click.ClickException(f"{name}: {type(error).__name__}: {error}") from error
    output = result.get("output") if isinstance(result, dict) else None
    if output:
        click.echo(output)
    dotted(name, "DONE", colour="green")


@click.command("schedule:pause", cls=Command)
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.pass_obj
def pause(session: Session, name: str | None, every: bool) -> None:
    """Let a schedule not be due until it is resumed."""
    app = open_app(session)
    _each(app, name, every, app.schedules.pause, "has been paused")


@click.command("schedule:resume", cls=Command)
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.pass_obj
def resume(session: Session, name: str | None, every: bool) -> None:
    """End a pause. What came meanwhile was not missed: it goes on from now."""
    app = open_app(session)
    _each(app, name, every, app.schedules.resume, "has been resumed")


@click.command("schedule:delete", cls=Command)
@click.argument("name")
@click.pass_obj
def delete(session: Session, name: str) -> None:
    """Remove a schedule that was made at run time. Its history stays."""
    app = open_app(session)
    found = app.schedules.find(name)
    app.schedules.delete(name)
    info(f"Schedule [{name}] has been removed.")
    if found.origin is Origin.CODE and name in app.schedule.declared():
        click.echo("  The application's code declares it: it is back when a scheduler begins.")


@click.command("schedule:clear-cache", cls=Command)
def clear_cache() -> None:
    """Accepted: nothing is cached, and no lock can stay behind."""
    info("Nothing to clear: whether a job still runs is asked of the store.")


def _all(app: Tabur, environment: str, language: str) -> Iterable[ScheduleShown]:
    """Those of the code by themselves where no scheduler has made them known yet."""
    declared = {
        name: each
        for name, each in app.schedule.declared().items()
        if not each.environments or environment in each.environments
    }
    stored = {each.name: each for each in app.schedules.list()}
    gone = {
        name
        for name, each in stored.items()
        if each.origin is Origin.CODE and name not in declared and name in app.schedule.declared()
    }
    for name in sorted((stored.keys() | declared.keys()) - gone):
        found, code = stored.get(name), declared.get(name)
        if found is not None:
            yield _from_store(found, code, language)
        elif code is not None:
            yield _from_code(code, language)


def _from_store(found: StoredSchedule, code: Declared | None, language: str) -> ScheduleShown:
    return ScheduleShown(
        name=found.name,
        cron_expression=found.cron_expression,
        timezone=found.timezone,
        words=found.in_words(language),
        runs=found.runs,
        origin=found.origin,
        is_active=found.is_active,
        next_run_at=found.next_run_at if found.is_active else None,
        last_run_at=found.last_run_at,
        missed=found.policy.missed,
        overlap=found.policy.overlap,
        grace=found.policy.grace,
        stored=True,
        description=code.description if code else "",
        problem=found.problem,
    )


def _from_code(code: Declared, language: str) -> ScheduleShown:
    definition = code.definition
    timing, policy = definition.timing, definition.policy
    return ScheduleShown(
        name=code.name,
        cron_expression=timing.expression,
        timezone=timing.timezone,
        words=in_words(timing, language),
        runs=definition.runs or definition.job.name,
        origin=Origin.CODE,
        is_active=True,
        next_run_at=as_datetime(times_of(timing).after(now_us())),
        last_run_at=None,
        missed=policy.missed,
        overlap=policy.overlap,
        grace=policy.grace,
        stored=False,
        description=code.description,
    )


def _list_one(each: ScheduleShown, width: int, zone: ZoneInfo, session: Session) -> None:
    if each.problem:
        due = f"cannot run: {each.problem}"
    elif not each.is_active:
        due = "paused"
    elif each.next_run_at is None:
        due = "never due again"
    else:
        due = f"Next Due: {_moment(each.next_run_at, zone)}"
    dotted(f"{each.cron_expression.ljust(width)}  {each.name}", due)
    if session.verbose:
        runs = f"; runs {each.runs}" if each.runs != each.name else ""
        last = f"; last {_moment(each.last_run_at, zone)}" if each.last_run_at else ""
        click.echo(f"  {' ' * width}  ⇁ {each.description or each.words}{runs}{last}")


def _tick_row(each: TickShown, zone: ZoneInfo) -> tuple[str, ...]:
    why = each.reason or each.job_id or ""
    late = (each.decided_at - each.due_at).total_seconds()
    due = _moment(each.due_at, zone)
    return due, each.schedule, each.decision, f"{late:.1f} s later", why


def _each(
    app: Tabur, name: str | None, every: bool, do: Callable[[str], object], said: str
) -> None:
    if (name is None) != every:
        raise click.UsageError("Which schedule? Name one, or --all.")
    names = list(_names(app)) if name is None else [name]
    for each in names:
        do(each)
        info(f"Schedule [{each}] {said}.")
    if not names:
        info("No schedules are known yet: a scheduler makes those of the code known.")


def _names(app: Tabur) -> Iterable[str]:
    return (each.name for each in app.schedules.list())


def _chosen(names: list[str]) -> str:
    """Ask which; where nobody can answer, say what there is."""
    if not names:
        raise click.UsageError("No scheduled tasks have been defined.")
    if not sys.stdin.isatty():
        raise click.UsageError(f"Which schedule? --name=… of: {', '.join(map(repr, names))}.")
    for n, each in enumerate(names, start=1):
        click.echo(f"  [{n}] {each}")
    number: int = click.prompt("Which one", type=click.IntRange(1, len(names)))
    return names[number - 1]


def _moment(value: datetime, zone: Any) -> str:
    return value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
