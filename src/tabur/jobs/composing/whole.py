"""What a chain and a batch have in common: what is said of them as a whole, and their dispatch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, cast

from tabur.config import ConnectionName
from tabur.errors import ConfigError
from tabur.jobs.composing.handle import BatchHandle
from tabur.jobs.composing.plan import HANDED_ON, Plan
from tabur.jobs.options import NO_SETTINGS, DispatchSettings
from tabur.jobs.pending import Sender
from tabur.jobs.spans import Span

if TYPE_CHECKING:
    from tabur.jobs.options import CallersTransaction


class WholeKeywords(TypedDict, total=False):
    """The keywords of `options(...)` of a chain, a batch or a workflow. What a job says itself
    comes first; what is said here comes before its declaration."""

    connection: ConnectionName | None
    queue: str | None
    delay: Span | None
    at: datetime | None
    priority: int | None
    session: CallersTransaction | None
    after_commit: bool
    tenant: str | None
    user: str | None
    locale: str | None


@dataclass(frozen=True, kw_only=True)
class PendingWhole(ABC):
    """Built and checked, not yet dispatched. A value: each method answers a new one."""

    sender: Sender = field(repr=False)
    settings: DispatchSettings = field(default=NO_SETTINGS, repr=False)

    def on_queue(self, queue: str) -> Self:
        """The queue of jobs that are not given one by their own `options(queue=…)`."""
        return self.options(queue=queue)

    def on_connection(self, connection: ConnectionName) -> Self:
        """Where all of it goes."""
        return self.options(connection=connection)

    def delay(self, delay: Span) -> Self:
        """When that of it becomes due which waits for nothing else."""
        return self.options(delay=delay)

    def options(self, **given: Unpack[WholeKeywords]) -> Self:
        """Options of the whole: with `session` it commits or vanishes with the caller's
        transaction. Raises ConfigError."""
        return replace(self, settings=merged(self.settings, given))

    def dispatch(self) -> BatchHandle:
        """Keep all of it, in one transaction. Raises ConfigError, StoreUnavailable,
        SchemaMissing."""
        plan = self.plan()
        return BatchHandle(self.sender.dispatch_plan(plan), plan.id, seals=self.sender.seals)

    async def dispatch_async(self) -> BatchHandle:
        """As `dispatch`, away from the caller's event loop; required for an AsyncSession."""
        plan = self.plan()
        drivers = await self.sender.dispatch_plan_async(plan)
        return BatchHandle(drivers, plan.id, seals=self.sender.seals)

    @abstractmethod
    def plan(self) -> Plan:
        """What it comes to, with ids of its own each time."""


def merged(settings: DispatchSettings, given: WholeKeywords) -> DispatchSettings:
    """Raises ConfigError."""
    if unknown := set(given) - set(WholeKeywords.__annotations__):
        known = ", ".join(sorted(WholeKeywords.__annotations__))
        raise ConfigError(
            f"options({', '.join(sorted(unknown))}) is for single jobs; here there are: {known}."
        )
    return settings.merged(cast(Any, given))


def over(inner: DispatchSettings, outer: DispatchSettings, what: str) -> DispatchSettings:
    """The settings of a part within a whole. Raises ConfigError for what only a whole can have."""
    if inner.session is not None or inner.after_commit or inner.delay or inner.at is not None:
        raise ConfigError(f"{what}: delay= and session= are for the whole that it is part of.")
    own: Any = {
        option: value for option in HANDED_ON if (value := getattr(inner, option)) is not None
    }
    return outer.merged(own) if own else outer
