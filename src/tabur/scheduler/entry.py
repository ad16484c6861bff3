"""One schedule as the application's code declares it, word by word."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import msgspec

from tabur.errors import ConfigError
from tabur.integrations.http import check_url
from tabur.integrations.mail import check_address
from tabur.jobs.definition import JobDefinition
from tabur.jobs.options import check_name
from tabur.model.text import shown
from tabur.model.ticks import Definition, Overlap, TickPolicy, Window, make_policy, parse_clock
from tabur.model.timing import EVERY_MINUTE, Timing, find_zone, parse_timing, times_of
from tabur.scheduler.frequencies import EntryKeywords, Frequencies
from tabur.scheduler.hooks import Hook, Output
from tabur.scheduler.targets import Run, Target

if TYPE_CHECKING:
    from tabur.scheduler.schedule import Schedule

T = TypeVar("T")
Condition = Callable[[], object] | bool

#: Of a schedule's name: room is left for what its job is called.
LONGEST_NAME = 180


@dataclass(frozen=True)
class Plan:
    """What an entry has been told so far; a group hands a plan to those inside it."""

    fields: tuple[str, ...] = tuple(EVERY_MINUTE.split())
    every: int | None = None
    is_timed: bool = False
    timezone: str | None = None
    policy: TickPolicy = field(default_factory=TickPolicy)
    windows: tuple[Window, ...] = ()
    conditions: tuple[tuple[Condition, bool], ...] = ()
    """With what each has to answer."""
    environments: tuple[str, ...] = ()
    run: Run = field(default_factory=Run)
    name: str | None = None
    description: str = ""


class Declared(msgspec.Struct, frozen=True):
    """An entry that is complete."""

    name: str
    definition: Definition
    connection: str | None
    environments: tuple[str, ...]
    conditions: tuple[tuple[Any, bool], ...]
    description: str
    job: JobDefinition | None
    """Where the schedule made one of its own."""

    def refuses(self) -> str | None:
        """Why a tick is not to run just now, by the conditions in code; None: nothing is against
        it. One that raises lets it not run."""
        for condition, wanted in self.conditions:
            try:
                answer = condition() if callable(condition) else condition
                if inspect.iscoroutine(answer):
                    answer.close()
                    raise TypeError("a condition cannot be async")
            except Exception as error:
                return f"its condition {_called(condition)} raised {type(error).__name__}: {error}"
            if bool(answer) is not wanted:
                return f"its condition {_called(condition)} is {'not met' if wanted else 'met'}"
        return None


class Entry(Frequencies):
    """Every method answers the entry itself. As a decorator it takes a job, a job class or a plain
    function, and answers that: `@jobs.schedule.daily_at("2:00")`."""

    def __init__(self, schedule: Schedule, plan: Plan, target: Target | None = None) -> None:
        self._schedule = schedule
        self._plan = plan
        self._target = target
        if target is not None:
            schedule.add(self)

    def __call__(self, what: T) -> T:
        if self._target is not None:
            raise ConfigError(f"{self!r} has something to run already.")
        self._target = self._schedule.target_of(what)
        self._schedule.add(self)
        return what

    def __repr__(self) -> str:
        return f"<schedule {self._plan.name or (self._target.name if self._target else '')!r}>"

    def _entry(self) -> Entry:
        return self

    def _told(self, **changes: Any) -> Entry:
        self._plan = replace(self._plan, **changes)
        self._schedule.changed()
        return self

    def _around(self, **hooks: Any) -> Entry:
        """More of what is to happen around its runs."""
        run = self._plan.run
        added: dict[str, Any] = {
            name: (*getattr(run.hooks, name), *value) if isinstance(value, tuple) else value
            for name, value in hooks.items()
        }
        outside = self._schedule.outside
        return self._told(run=replace(run, hooks=replace(run.hooks, outside=outside, **added)))

    # when

    def fields(self, given: Mapping[int, str]) -> Entry:
        """Some of the five fields of cron, by their place. Raises ConfigError."""
        fields = list(self._plan.fields)
        for place, value in given.items():
            fields[place] = value
        parse_timing(" ".join(fields))
        return self._told(fields=tuple(fields), is_timed=True)

    def expression(self, expression: str) -> Entry:
        timing = parse_timing(expression)
        return self._told(fields=tuple(timing.cron.split()), every=timing.every, is_timed=True)

    def interval(self, seconds: int) -> Entry:
        times_of(Timing(every=seconds))
        return self._told(every=seconds, is_timed=True)

    def zone(self, name: str) -> Entry:
        find_zone(name)
        return self._told(timezone=name)

    def between(self, first: str, last: str) -> Entry:
        """Only from `first` to `last` (such as "8:00"), both included; over midnight where `last`
        comes first. Ticks outside are skipped, and recorded."""
        window = Window(parse_clock(first), parse_clock(last))
        return self._told(windows=(*self._plan.windows, window))

    def unless_between(self, first: str, last: str) -> Entry:
        window = Window(parse_clock(first), parse_clock(last), inside=False)
        return self._told(windows=(*self._plan.windows, window))

    def when(self, condition: Condition) -> Entry:
        """Only where this holds when the tick comes; asked in the scheduler, so it has to be quick.
        Ticks for which it does not are skipped, and recorded with the reason."""
        return self._told(conditions=(*self._plan.conditions, (_condition(condition), True)))

    def skip(self, condition: Condition) -> Entry:
        """Not where this holds."""
        return self._told(conditions=(*self._plan.conditions, (_condition(condition), False)))

    def environments(self, *names: str | Iterable[str]) -> Entry:
        """Only where TABUR_ENV is one of these; elsewhere there is no such schedule."""
        flat = [name for each in names for name in ([each] if isinstance(each, str) else each)]
        return self._told(environments=tuple(check_name(name, "environment") for name in flat))

    # what becomes of ticks

    def missed(self, policy: str, limit: int | None = None) -> Entry:
        """What becomes of ticks that came while no scheduler ran: `last` (one run makes up for
        all), `skip`, or `all` up to `limit`."""
        changes = {"missed": policy} | ({} if limit is None else {"missed_limit": limit})
        return self._with_policy(**changes)

    def overlap(self, policy: str) -> Entry:
        """What becomes of a tick while the job of the one before has not ended: `allow`, `skip`,
        `wait`."""
        return self._with_policy(overlap=policy)

    def grace(self, seconds: timedelta | float) -> Entry:
        """A tick that is found later than this is let go."""
        return self._with_policy(grace=seconds)

    def without_overlapping(self, minutes: int | None = None) -> Entry:
        """As `overlap("skip")`. `minutes` is Laravel's, and without effect: whether the job before
        still runs is asked of the store, so no lock can stay behind."""
        return self.overlap(Overlap.SKIP)

    def on_one_server(self) -> Entry:
        """Accepted: a tick is decided once, however many schedulers run."""
        return self

    def run_in_background(self) -> Entry:
        """Accepted: what a tick starts is a job, and nothing waits for it."""
        return self

    def _with_policy(self, **changes: Any) -> Entry:
        before = {name: getattr(self._plan.policy, name) for name in TickPolicy.__struct_fields__}
        return self._told(policy=make_policy(**(before | changes)))

    # what runs

    def name(self, name: str) -> Entry:
        """What it is called in the store, in commands and pages. It must stay the same: under
        another name it is another schedule."""
        return self._told(name=check_name(name, "name", longest=LONGEST_NAME))

    def description(self, text: str) -> Entry:
        return self._told(description=str(text))

    def on_queue(self, name: str) -> Entry:
        return self._told(run=replace(self._plan.run, queue=check_name(name, "queue")))

    def timeout(self, seconds: timedelta | float) -> Entry:
        """How long a run may take; a command an hour, unless it is told."""
        span: Any = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if isinstance(span, bool) or not isinstance(span, int | float) or not 0 < span < 1e9:
            raise ConfigError(f"timeout={shown(seconds)}: seconds above 0 are needed.")
        return self._told(run=replace(self._plan.run, timeout=float(span)))

    # around a run

    def before(self, hook: Hook) -> Entry:
        return self._around(before=(_hook(hook),))

    def after(self, hook: Hook) -> Entry:
        """When it has ended, however it has. A callback may take a ScheduledRun."""
        return self._around(after=(_hook(hook),))

    def then(self, hook: Hook) -> Entry:
        return self.after(hook)

    def on_success(self, hook: Hook) -> Entry:
        return self._around(on_success=(_hook(hook),))

    def on_failure(self, hook: Hook) -> Entry:
        """When it has failed for good, a timeout or a crash included."""
        return self._around(on_failure=(_hook(hook),))

    def ping_before(self, url: str) -> Entry:
        return self._around(ping_before=(check_url(url, "ping_before"),))

    def then_ping(self, url: str) -> Entry:
        return self._around(then_ping=(check_url(url, "then_ping"),))

    def ping_on_success(self, url: str) -> Entry:
        return self._around(ping_on_success=(check_url(url, "ping_on_success"),))

    def ping_on_failure(self, url: str) -> Entry:
        return self._around(ping_on_failure=(check_url(url, "ping_on_failure"),))

    def send_output_to(self, path: str | Path) -> Entry:
        """What a command prints goes to a file, over what it printed the last time."""
        return self._around(output=Output(Path(path), append=False))

    def append_output_to(self, path: str | Path) -> Entry:
        return self._around(output=Output(Path(path), append=True))

    def email_output_to(self, *addresses: str) -> Entry:
        """What a command prints is sent by mail (MAIL_HOST …) when it has ended."""
        return self._around(mail_to=tuple(check_address(each, "email") for each in addresses))

    def email_output_on_failure(self, *addresses: str) -> Entry:
        found = tuple(check_address(each, "email") for each in addresses)
        return self._around(mail_on_failure_to=found)

    # together

    def set(self, **given: Unpack[EntryKeywords]) -> Entry:
        """Several of these in one go. Raises ConfigError for one that there is not."""
        unknown = set(given) - set(EntryKeywords.__annotations__)
        if unknown:
            known = ", ".join(EntryKeywords.__annotations__)
            raise ConfigError(f"{', '.join(sorted(unknown))} is not known; there are: {known}.")
        values: dict[str, Any] = dict(given)
        policy = {name: values.pop(name) for name in TickPolicy.__struct_fields__ if name in values}
        if policy:
            self._with_policy(**policy)
        for flag in ("without_overlapping", "on_one_server", "run_in_background"):
            if values.pop(flag, False):
                getattr(self, flag)()
        for name, value in values.items():
            getattr(self, "on_queue" if name == "queue" else name)(value)
        return self

    def group(self) -> AbstractContextManager[None]:
        """What is declared inside begins with all that this entry was told."""
        return self._schedule.grouped(self._plan)

    # complete

    def declared(self) -> Declared:
        """Raises ConfigError where something is missing."""
        plan, target = self._plan, self._target
        assert target is not None  # what has none is not added
        name = plan.name or target.name
        if not name:
            raise ConfigError('A schedule that runs a lambda needs a name: .name("…").')
        if len(name) > LONGEST_NAME:
            raise ConfigError(f'{name[:60]!r}… is too long for a name; give one: .name("…").')
        check_name(name, "name", longest=LONGEST_NAME)
        if not plan.is_timed:
            raise ConfigError(f"The schedule {name!r} is never due: .daily(), .every_minute() …")
        timing = Timing(
            " ".join(plan.fields), plan.timezone or self._schedule.timezone_name, plan.every
        )
        times_of(timing)
        call, job = target.resolve(name, plan.run)
        return Declared(
            name,
            Definition(
                timing,
                call,
                plan.policy,
                plan.windows,
                runs=target.runs,
                conditional=bool(plan.conditions),
            ),
            connection=target.connection,
            environments=plan.environments,
            conditions=plan.conditions,
            description=plan.description,
            job=job,
        )


def _condition(given: Any) -> Any:
    if isinstance(given, bool):
        return given
    if not callable(given) or inspect.iscoroutinefunction(given):
        raise ConfigError(f"{shown(given)}: a condition is a function that is not async.")
    return given


def _hook(given: Any) -> Hook:
    if not callable(given):
        raise ConfigError(f"{shown(given)}: a callback is a function.")
    hook: Hook = given
    return hook


def _called(condition: Any) -> str:
    return str(getattr(condition, "__name__", condition))
