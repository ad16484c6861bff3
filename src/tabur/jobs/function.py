"""Functions as jobs: what `@jobs.job` makes of one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    overload,
)

from tabur.jobs.context import JobContext
from tabur.jobs.definition import JobDefinition
from tabur.jobs.options import NO_SETTINGS, DispatchKeywords, DispatchSettings
from tabur.jobs.pending import PendingJob, Sender
from tabur.model.codec import Upcaster

if TYPE_CHECKING:
    from tabur.jobs.handle import JobHandle

P = ParamSpec("P")
R = TypeVar("R")
U = TypeVar("U", bound=Upcaster)


class FunctionJob(Generic[P, R]):
    """A job declared by a function. Calling it makes a pending job; it does not run."""

    def __init__(
        self,
        definition: JobDefinition,
        dispatcher: Sender,
        function: Callable[..., Any],
        settings: DispatchSettings = NO_SETTINGS,
    ) -> None:
        update_wrapper(self, function)
        self.definition = definition
        self.function = function
        self._dispatcher = dispatcher
        self._settings = settings

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> PendingJob[R]:
        """A pending job. Raises PayloadError for arguments that it does not take."""
        arguments = self.definition.arguments(args, kwargs)
        return PendingJob(self.definition, arguments, self._dispatcher, self._settings)

    def dispatch(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Put it on its queue."""
        return self(*args, **kwargs).dispatch()

    async def dispatch_async(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Put it on its queue, away from the caller's event loop."""
        return await self(*args, **kwargs).dispatch_async()

    def options(self, **given: Unpack[DispatchKeywords]) -> FunctionJob[P, R]:
        """The same job with other options: see `PendingJob.options`."""
        merged = self._settings.merged(given)
        return FunctionJob(self.definition, self._dispatcher, self.function, merged)

    def upcast(self, from_version: int) -> Callable[[U], U]:
        """Above a function that makes arguments of `from_version`, a dict, those of the version
        after it; it changes nothing else. Raises ConfigError."""

        def decorate(upcaster: U) -> U:
            self.definition.add_upcaster(from_version, upcaster)
            return upcaster

        return decorate

    def __repr__(self) -> str:
        return f"<job {self.definition.name}>"


class JobDecorator(Protocol):
    """`@jobs.job(...)`: strips a leading `ctx`, unwraps a coroutine's result, keeps the rest."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[JobContext, P], Coroutine[Any, Any, R]]
    ) -> FunctionJob[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[JobContext, P], R]) -> FunctionJob[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> FunctionJob[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> FunctionJob[P, R]: ...
