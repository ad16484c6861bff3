"""A pending job: built and checked, not yet dispatched."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, Unpack, cast

import msgspec

from tabur.jobs.context import JobContext
from tabur.jobs.definition import JobDefinition
from tabur.jobs.options import NO_SETTINGS, DispatchKeywords, DispatchSettings
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope
from tabur.jobs.seals import Seals
from tabur.jobs.sessions import Sessions
from tabur.jobs.settling import Backing
from tabur.model.clock import now_us
from tabur.model.ids import new_id
from tabur.model.records import ClaimedJob

if TYPE_CHECKING:
    from tabur.drivers.contract import Driver
    from tabur.jobs.composing.plan import Plan
    from tabur.jobs.handle import JobHandle

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Dispatcher(Protocol):
    """Sends pending jobs to the store; the app implements it."""

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]: ...

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]: ...

    def dispatch_async(self, pending: PendingJob[R]) -> Awaitable[JobHandle[R]]: ...

    def dispatch_plan(self, plan: Plan) -> Sequence[Driver]:
        """All jobs and batches of a plan, in one transaction. Answers where they may be found."""

    def dispatch_plan_async(self, plan: Plan) -> Awaitable[Sequence[Driver]]: ...


class Sender(Dispatcher, Protocol):
    """A dispatcher that stays the same for the life of an app, and what else its jobs need of
    it."""

    registry: Registry
    scope: CurrentScope
    sessions: Sessions

    @property
    def seals(self) -> Seals: ...


class PendingJob(Generic[R_co]):
    """One job with its arguments. A value: dispatching it twice makes two jobs."""

    __slots__ = ("_dispatcher", "args", "definition", "payload", "settings")

    def __init__(
        self,
        definition: JobDefinition,
        arguments: dict[str, Any],
        dispatcher: Sender,
        settings: DispatchSettings = NO_SETTINGS,
    ) -> None:
        self.definition = definition
        self.payload, self.args = definition.codec.check(arguments)
        self.settings = settings
        self._dispatcher = dispatcher

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def sender(self) -> Sender:
        """Of the app that it belongs to."""
        return self._dispatcher

    def options(self, **given: Unpack[DispatchKeywords]) -> PendingJob[R_co]:
        """The same job, dispatched otherwise than its declaration says: on another `connection` or
        `queue`, later, with other `tries` …

        `delay`, `retry_until` and `expires` take seconds or a timedelta from now; `at`,
        `retry_until` and `expires` an aware datetime. With `session` the job commits or vanishes
        with the caller's transaction, or is dispatched after it with `after_commit=True`. With
        `idempotency_key` the same owner's repetition leads to the same job. `unique_key` and what
        goes with it stand over what the job declares of uniqueness. Raises ConfigError.
        """
        return self.with_settings(self.settings.merged(given))

    def with_settings(self, settings: DispatchSettings) -> PendingJob[R_co]:
        """The same job with exactly these settings."""
        again = object.__new__(type(self))
        again.definition, again.payload, again.args = self.definition, self.payload, self.args
        again.settings = settings
        again._dispatcher = self._dispatcher
        return again

    def dispatch(self) -> JobHandle[R_co]:
        """Put it on its queue. Raises StoreUnavailable, or SchemaMissing before `tabur migrate`."""
        return self._dispatcher.dispatch(self)

    async def dispatch_async(self) -> JobHandle[R_co]:
        """As `dispatch`, away from the caller's event loop; required for an AsyncSession."""
        return await self._dispatcher.dispatch_async(self)

    def run(self, ctx: JobContext | None = None) -> R_co:
        """Run it here and now, with no queue: for tests. Errors come out as they are."""
        result: R_co = self.definition.call(ctx or _detached(self), self.args)
        if self.definition.is_async:
            from tabur.jobs.coroutines import wait_for  # asyncio takes 30 ms to import

            result = wait_for(cast(Any, result))
        return result

    def __repr__(self) -> str:
        return f"{self.name}({self.definition.shown(msgspec.structs.asdict(self.args))})"


def _detached(pending: PendingJob[Any]) -> JobContext:
    now = now_us()
    settings = pending.settings
    job = ClaimedJob(
        id=new_id(),
        name=pending.name,
        queue=settings.queue or pending.definition.options.queue or "default",
        isolation=pending.definition.isolation,
        payload=pending.payload,
        created_at=now,
        attempts=0,
        exceptions=0,
        crashes=0,
        tenant=settings.tenant,
        user=settings.user,
        locale=settings.locale,
    )
    return JobContext(job, _Nobody(pending._dispatcher.sessions), pending.args)


class _Nobody:
    """The reporter of a run without a worker."""

    stopping = False

    def __init__(self, sessions: Sessions) -> None:
        self.backing = Backing(None, sessions)
        self._attached = 0

    def progress(self, ctx: JobContext) -> None:
        pass

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int:
        self._attached += 1
        return self._attached

    def cancelled(self, ctx: JobContext) -> bool:
        return False
