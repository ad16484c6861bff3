"""What stands around the run of a job and may change how it ends: how it is written and chained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from tabur.errors import ConfigError
from tabur.model.text import shown

if TYPE_CHECKING:
    from tabur.jobs.context import JobContext

Next = Callable[["JobContext"], Any]
"""What follows: the next middleware, and at last the job. Of an `async def` job it is awaited."""
Handle = Callable[["JobContext", Next], Any]
Call = Callable[["JobContext", Any], Any]


class Handles(Protocol):
    """Middleware as a class: with `async def handle` for `async def` jobs; with a plain one, and
    beside it `async def handle_async(self, job, next)`, for both."""

    def handle(self, job: JobContext, next: Next, /) -> Any:  # Laravel's word
        """Answer what the job is to have returned: mostly `next(job)`. Not to call `next` is to
        skip the job; what is raised here, `job.release()`, `job.snooze()` and `job.fail()` end it
        as if the job had said so itself."""


Middleware = Handle | Handles | type[Handles]
"""A function `(job, next)`, an object with `handle(job, next)`, or the class of one that needs no
arguments."""


def made(given: Any) -> tuple[Middleware, ...]:
    """Middleware as it is declared, checked: classes are called. Raises ConfigError."""
    if not isinstance(given, list | tuple):
        raise ConfigError(f"middleware={shown(given)}: a list is needed.")
    found: tuple[Any, ...] = tuple(given)
    return tuple(_made(each) for each in found)


def handles_of(middleware: Iterable[Middleware], *, is_async: bool) -> tuple[Handle, ...]:
    """What is called around a job of this kind. Raises ConfigError."""
    return tuple(_handle(each, is_async=is_async) for each in middleware)


def through(handles: Iterable[Handle], call: Call) -> Call:
    """`call` with `handles` around it, the first outermost."""

    def job_itself(job: JobContext) -> Any:
        return call(job, job.args)

    following: Next = job_itself
    for handle in reversed(tuple(handles)):
        following = _link(handle, following)
    return lambda job, _: following(job)


def _link(handle: Handle, following: Next) -> Next:
    return lambda job: handle(job, following)


def _made(each: Any) -> Middleware:
    found = each() if isinstance(each, type) else each
    if not (callable(found) or hasattr(found, "handle") or hasattr(found, "handle_async")):
        raise ConfigError(
            f"middleware={shown(each)}: a function (job, next) is needed, or an object with "
            "handle(job, next)."
        )
    middleware: Middleware = found
    return middleware


def _handle(each: Any, *, is_async: bool) -> Handle:
    names = ("handle_async", "handle") if is_async else ("handle",)
    methods = [getattr(each, name) for name in names if hasattr(each, name)]
    for handle in methods or [each]:
        if callable(handle) and inspect.iscoroutinefunction(handle) is is_async:
            found: Handle = handle
            return found
    name = getattr(each, "__name__", type(each).__name__)
    raise ConfigError(
        f"middleware {name} is no async def, and this job is one: write async def, or a class with "
        "async def handle_async(self, job, next) beside handle."
        if is_async
        else f"middleware {name} is async def, and this job is none: write def, or a class with "
        "def handle(self, job, next) beside async def handle_async."
    )
