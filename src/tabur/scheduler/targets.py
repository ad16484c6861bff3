"""What a schedule runs: a job, a function, a command of Tabur's, or a command of the shell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from tabur.errors import ConfigError
from tabur.jobs.definition import JobDefinition, define_function
from tabur.jobs.options import DispatchSettings, JobOptions, declared
from tabur.jobs.pending import PendingJob
from tabur.model.states import Isolation
from tabur.model.ticks import JobCall
from tabur.scheduler.hooks import Hooks, hooked
from tabur.scheduler.processes import Command

#: Seconds that a command may run where it is not told otherwise.
COMMAND_TIMEOUT = 3600.0
#: What a job of a schedule is called, where it is not simply one of the application's.
PREFIX = "schedule:"
#: What `options(...)` may set on a job that is dispatched again and again.
_LASTING = ("queue", "priority", "tries", "timeout", "tenant", "user", "locale", "connection")


@dataclass(frozen=True)
class Run:
    """How it is to run: what an entry says beside its times."""

    hooks: Hooks = field(default_factory=Hooks)
    queue: str | None = None
    timeout: float | None = None


class Target(Protocol):
    """`name`: what the schedule is called unless it is told otherwise; `connection`: where its jobs
    go, None: to the default one; `runs`: for people, where the job's name does not say it."""

    name: str
    connection: str | None
    runs: str

    def resolve(self, schedule: str, run: Run) -> tuple[JobCall, JobDefinition | None]:
        """The job that a tick dispatches, and its definition where the schedule has made it. Raises
        ConfigError."""


class JobTarget:
    """A job of the application's, with its arguments."""

    runs = ""

    def __init__(self, pending: PendingJob[Any], *, name: str) -> None:
        self.pending = pending
        self.name = name
        self.connection = pending.settings.connection or pending.definition.options.connection

    def resolve(self, schedule: str, run: Run) -> tuple[JobCall, JobDefinition | None]:
        pending = self.pending
        call = job_call(pending)
        if run.queue is not None or run.timeout is not None:
            call = msgspec.structs.replace(
                call, queue=run.queue or call.queue, timeout=run.timeout or call.timeout
            )
        if not run.hooks:
            return call, None
        if run.hooks.takes_output:
            raise ConfigError(
                f"{schedule}: output is what a command or exec prints; a job has none to send."
            )
        made = hooked(pending.definition, PREFIX + schedule, schedule, run.hooks)
        return msgspec.structs.replace(call, name=made.name), made


class CallTarget:
    """A function of the application's that is no job."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Any = None
    ) -> None:
        self.name = getattr(function, "__name__", "")
        self.connection: str | None = None
        self.runs = f"{self.name}()"
        if not callable(function):
            raise ConfigError(f"schedule.call({function!r}): a function is needed.")
        if self.name == "<lambda>":
            self.name = ""  # one has to be given
        self._function = function
        self._args = tuple(args)
        self._kwargs = dict(kwargs or {})

    def resolve(self, schedule: str, run: Run) -> tuple[JobCall, JobDefinition | None]:
        options = _options(schedule, run)
        definition = define_function(self._function, PREFIX + schedule, options)
        payload, _ = definition.codec.check(definition.arguments(self._args, dict(self._kwargs)))
        if run.hooks.takes_output:
            raise ConfigError(
                f"{schedule}: output is what a command or exec prints; a function has none to send."
            )
        made = hooked(definition, definition.name, schedule, run.hooks)
        return JobCall(made.name, msgspec.Raw(payload)), made


class CommandTarget:
    """A command: a line of words for `tabur`, or one for the shell."""

    connection: str | None = None

    def __init__(self, command: Command) -> None:
        self._command = command
        self.name = self.runs = str(command)

    def resolve(self, schedule: str, run: Run) -> tuple[JobCall, JobDefinition | None]:
        name = PREFIX + schedule
        options = _options(schedule, run, timeout=COMMAND_TIMEOUT, isolation=Isolation.PROCESS)
        command, hooks = self._command, run.hooks
        definition = JobDefinition(
            name,
            options,
            fields={},
            call=lambda ctx, arguments: command.run(ctx, schedule, hooks),
            is_async=False,
            result_type=Any,
        )
        return JobCall(name), hooked(definition, name, schedule, hooks)


def job_call(pending: PendingJob[Any]) -> JobCall:
    """A pending job as a definition keeps it. Raises ConfigError for options that belong to one
    dispatch alone."""
    settings, plain = pending.settings, DispatchSettings()
    odd = [
        each
        for each in DispatchSettings.__struct_fields__
        if each not in _LASTING and getattr(settings, each) != getattr(plain, each)
    ]
    if odd:
        raise ConfigError(
            f"{pending.name}: {', '.join(odd)} cannot be set for a schedule's ticks; there are: "
            f"{', '.join(_LASTING)}. Declare it with the job."
        )
    return JobCall(
        pending.name,
        msgspec.Raw(pending.payload),
        queue=settings.queue,
        priority=settings.priority,
        tries=settings.tries,
        timeout=settings.timeout,
        tenant=settings.tenant,
        user=settings.user,
        locale=settings.locale,
    )


def _options(
    schedule: str, run: Run, *, timeout: float | None = None, isolation: Isolation | None = None
) -> JobOptions:
    given: Any = {"timeout": run.timeout or timeout, "queue": run.queue, "isolation": isolation}
    said: Any = {name: value for name, value in given.items() if value}
    _, options = declared(schedule, said)
    return options
