"""Middleware that only asks: whether to run now, later, or never, and whether an error is final."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tabur.jobs.context import JobContext
from tabur.jobs.middleware import Next
from tabur.jobs.spans import Span
from tabur.middleware.asked import errors, span
from tabur.model.clock import SECOND

Condition = Callable[[JobContext], bool]
"""Asked before each run. It must not wait: of an `async def` job it is asked on the event loop."""


class Skip:
    """Ends a job as completed without running it: `Skip.when(lambda job: …)`."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    @classmethod
    def when(cls, condition: Condition) -> Skip:
        return cls(condition)

    @classmethod
    def unless(cls, condition: Condition) -> Skip:
        return cls(_not(condition))

    def handle(self, job: JobContext, next: Next) -> Any:
        return None if self._condition(job) else next(job)

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        return None if self._condition(job) else await next(job)


class Release:
    """Lets a job wait for `after` seconds without running it, again and again, as long as the
    condition holds; that costs no attempt: `Release.when(is_night, after=600)`."""

    def __init__(self, condition: Condition, after: Span) -> None:
        self._condition = condition
        self._after = span(after, "after")

    @classmethod
    def when(cls, condition: Condition, *, after: Span) -> Release:
        return cls(condition, after)

    @classmethod
    def unless(cls, condition: Condition, *, after: Span) -> Release:
        return cls(_not(condition), after)

    def handle(self, job: JobContext, next: Next) -> Any:
        self._look(job)
        return next(job)

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        self._look(job)
        return await next(job)

    def _look(self, job: JobContext) -> None:
        if self._condition(job):
            job.snooze(self._after / SECOND)


class FailOnException:
    """Lets a job fail for good by these errors, whatever `tries` are left. For one job alone the
    option `never_retry` says the same."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = errors(kinds, "FailOnException")

    def handle(self, job: JobContext, next: Next) -> Any:
        try:
            return next(job)
        except self._kinds as error:
            job.fail(error)

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        try:
            return await next(job)
        except self._kinds as error:
            job.fail(error)


def _not(condition: Condition) -> Condition:
    return lambda job: not condition(job)
