"""`jobs.schedule`: where the application's code says what is due when."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Unpack

from tabur.errors import ConfigError
from tabur.jobs.definition import JobDefinition
from tabur.jobs.function import FunctionJob
from tabur.jobs.job import Job
from tabur.jobs.pending import PendingJob
from tabur.model.text import shown
from tabur.scheduler.entry import Declared, Entry, Plan
from tabur.scheduler.frequencies import EntryKeywords, Frequencies
from tabur.scheduler.outside import Outside
from tabur.scheduler.processes import Command
from tabur.scheduler.targets import CallTarget, CommandTarget, JobTarget, Target


class Schedule(Frequencies):
    """Begins an entry by what runs (`.job(…)`, `.call(…)`, `.command(…)`, `.exec(…)`), or by when:
    then it is a decorator. `timezone_name`: of entries that name none."""

    def __init__(self, outside: Outside, *, timezone: str) -> None:
        self.outside = outside
        self.timezone_name = timezone
        self._entries: list[Entry] = []
        self._plans = [Plan()]
        self._complete: dict[str, Declared] | None = None

    # declaring

    def job(
        self, job: FunctionJob[..., Any] | PendingJob[Any] | Job[Any] | type[Job[Any]]
    ) -> Entry:
        """A job of the application's: with its arguments, or as it is where it needs none. Raises
        ConfigError, PayloadError."""
        return Entry(self, self._plans[-1], _job_target(job))

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Entry:
        """A function that is no job; it runs in a worker as one. Arguments are kept as JSON."""
        return Entry(self, self._plans[-1], CallTarget(function, args, kwargs))

    def command(self, line: str, arguments: Sequence[object] = ()) -> Entry:
        """A command of `tabur` in a process of its own: `command("queue:prune-failed --hours=48")`.
        Raises ConfigError."""
        given: Any = line
        if not isinstance(given, str):
            raise ConfigError(f"command({shown(line)}): the words of a command are needed.")
        try:
            words = (*shlex.split(line), *map(str, arguments))
        except ValueError as error:
            raise ConfigError(f"command({shown(line)}): {error}") from None
        if not words or words[0].startswith("-"):
            raise ConfigError(f"command({shown(line)}): it begins with the name of a command.")
        return Entry(self, self._plans[-1], CommandTarget(Command(self.outside, tuple(words))))

    def exec(self, line: str) -> Entry:
        """A line for the shell. Never build one from what a user has typed."""
        given: Any = line
        if not isinstance(given, str) or not line.strip() or "\0" in line:
            raise ConfigError(f"exec({shown(line)}): a line for the shell is needed.")
        return Entry(self, self._plans[-1], CommandTarget(Command(self.outside, shell=line)))

    def group(self, **given: Unpack[EntryKeywords]) -> AbstractContextManager[None]:
        """`with jobs.schedule.group(timezone="Asia/Baghdad"):` what is declared inside has it."""
        return self._entry().set(**given).group()

    def _entry(self) -> Entry:
        return Entry(self, self._plans[-1])

    # for entries

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.changed()

    def changed(self) -> None:
        self._complete = None

    def target_of(self, what: Any) -> Target:
        """What a decorated thing means. Raises ConfigError."""
        if isinstance(what, FunctionJob | PendingJob | Job) or (
            isinstance(what, type) and issubclass(what, Job)
        ):
            return _job_target(what)
        return CallTarget(what)

    @contextmanager
    def grouped(self, plan: Plan) -> Iterator[None]:
        self._plans.append(plan)
        try:
            yield
        finally:
            self._plans.pop()

    # complete

    def declared(self) -> dict[str, Declared]:
        """Every entry by its name. Raises ConfigError where one is not complete, or two are called
        the same."""
        if self._complete is None:
            found: dict[str, Declared] = {}
            for entry in self._entries:
                each = entry.declared()
                if each.name in found:
                    raise ConfigError(
                        f"Two schedules are called {each.name!r}. Give one of them a name of its "
                        'own: .name("…").'
                    )
                found[each.name] = each
            self._complete = found
        return self._complete

    def jobs(self) -> Iterable[JobDefinition]:
        """The jobs that schedules have made for themselves."""
        return [each.job for each in self.declared().values() if each.job is not None]


def _job_target(job: Any) -> JobTarget:
    """Raises ConfigError, PayloadError."""
    pending = pending_of(job)
    is_bare = isinstance(job, FunctionJob | type) or pending.payload == b"{}"
    return JobTarget(pending, name=pending.name if is_bare else repr(pending))


def pending_of(job: Any) -> PendingJob[Any]:
    """Raises ConfigError, PayloadError."""
    if isinstance(job, PendingJob):
        return job
    try:
        if isinstance(job, FunctionJob):
            return job()
        if isinstance(job, type) and issubclass(job, Job):
            job = job()
    except TypeError as error:
        raise ConfigError(f"schedule.job({shown(job)}): give it its arguments: {error}") from None
    if not isinstance(job, Job):
        raise ConfigError(
            f"schedule.job({shown(job)}): a job is needed; for a function that is none, "
            "schedule.call(function)."
        )
    return job.pending()
