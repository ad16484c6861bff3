"""What happens around a scheduled run, in the worker: callbacks, pings, mail."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tabur.jobs.context import JobContext
from tabur.jobs.definition import JobDefinition
from tabur.scheduler.outside import Outside

_log = logging.getLogger("tabur.scheduler")

#: How a run of a command ends that has told its output by mail itself.
COMMAND_FAILED = "CommandFailed"


class ScheduledRun(msgspec.Struct, frozen=True):
    """What a callback is told that takes an argument. `output` of a command, its end."""

    schedule: str
    job_id: str
    output: str = ""
    error: str | None = None


Hook = Callable[[], Any] | Callable[[ScheduledRun], Any]


@dataclass(frozen=True)
class Output:
    path: Path
    append: bool


@dataclass(frozen=True)
class Hooks:
    """`before` runs ahead of each attempt; the others once, when the job has ended for good."""

    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()
    on_success: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    ping_before: tuple[str, ...] = ()
    then_ping: tuple[str, ...] = ()
    ping_on_success: tuple[str, ...] = ()
    ping_on_failure: tuple[str, ...] = ()
    output: Output | None = None
    mail_to: tuple[str, ...] = ()
    mail_on_failure_to: tuple[str, ...] = ()
    outside: Outside | None = None

    @property
    def takes_output(self) -> bool:
        return bool(self.output or self.mail_to or self.mail_on_failure_to)

    def __bool__(self) -> bool:
        plain = Hooks(outside=self.outside)
        return self != plain

    def ping(self, urls: Iterable[str]) -> None:
        for url in urls:
            assert self.outside is not None  # entries give it
            self.outside.ping(url)

    def mail(self, to: Iterable[str], *, subject: str, body: str) -> None:
        if addresses := list(dict.fromkeys(to)):
            assert self.outside is not None  # entries give it
            self.outside.mail(addresses, subject=subject, body=body)


def hooked(definition: JobDefinition, name: str, schedule: str, hooks: Hooks) -> JobDefinition:
    """The same job under a name of its own, with what is to happen around it."""
    made = copy(definition)
    made.name = name
    made.options = msgspec.structs.replace(definition.options, aliases=())
    if hooks:
        around = _Around(definition, schedule, hooks)
        made.call = around.call_async if definition.is_async else around.call
        made.failed = around.failed
    return made


class _Around:
    def __init__(self, definition: JobDefinition, schedule: str, hooks: Hooks) -> None:
        self._definition = definition
        self._schedule = schedule
        self._hooks = hooks

    def call(self, ctx: JobContext, arguments: Any) -> Any:
        self._begin(ctx)
        value = self._definition.call(ctx, arguments)
        self._succeeded(ctx, value)
        return value

    async def call_async(self, ctx: JobContext, arguments: Any) -> Any:
        import asyncio  # a scheduler has no event loop; it takes long to import

        await asyncio.to_thread(self._begin, ctx)  # a ping must not hold the event loop
        value = await self._definition.call(ctx, arguments)
        await asyncio.to_thread(self._succeeded, ctx, value)
        return value

    def failed(self, ctx: JobContext, arguments: Any, error: BaseException) -> None:
        """The job has failed for good."""
        try:
            if self._definition.failed is not None:
                _finish(self._definition.failed(ctx, arguments, error))
        finally:
            info = getattr(error, "info", None)  # of one that comes out of another process
            text = str(error) if info is None else str(info.message)
            hooks, run = self._hooks, self._told(ctx, error=text)
            self._call_all(hooks.on_failure, run)
            hooks.ping(hooks.ping_on_failure)
            kind = getattr(info, "type", type(error).__qualname__)
            if kind != COMMAND_FAILED:  # killed at its timeout, or crashed: it could tell nothing
                subject = f"Failed: {self._schedule}"
                to = (*hooks.mail_to, *hooks.mail_on_failure_to)
                hooks.mail(to, subject=subject, body=text)
            self._call_all(hooks.after, run)
            hooks.ping(hooks.then_ping)

    def _begin(self, ctx: JobContext) -> None:
        run = self._told(ctx)
        for hook in self._hooks.before:  # what raises here lets the run fail
            _call(hook, run)
        self._hooks.ping(self._hooks.ping_before)

    def _succeeded(self, ctx: JobContext, value: Any) -> None:
        hooks = self._hooks
        output = value.get("output", "") if isinstance(value, dict) else ""
        run = self._told(ctx, output=output if isinstance(output, str) else "")
        self._call_all(hooks.on_success, run)
        hooks.ping(hooks.ping_on_success)
        self._call_all(hooks.after, run)
        hooks.ping(hooks.then_ping)

    def _told(self, ctx: JobContext, *, output: str = "", error: str | None = None) -> ScheduledRun:
        return ScheduledRun(self._schedule, ctx.job_id, output, error)

    def _call_all(self, hooks: Iterable[Hook], run: ScheduledRun) -> None:
        """What they raise is logged: the run has ended as it has."""
        for hook in hooks:
            try:
                _call(hook, run)
            except Exception:
                _log.exception("A callback of the schedule %s raised", self._schedule)


def _call(hook: Any, run: ScheduledRun) -> None:
    _finish(hook(run) if takes_argument(hook) else hook())


def _finish(answer: Any) -> None:
    if inspect.iscoroutine(answer):
        from tabur.jobs.coroutines import wait_for

        wait_for(answer)


def takes_argument(hook: Callable[..., Any]) -> bool:
    """Whether it can be called with one argument, and not without."""
    try:
        signature = inspect.signature(hook)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind()
    except TypeError:
        return True
    return False
