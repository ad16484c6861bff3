"""Stands between declared jobs and the dispatcher, which `fake()` exchanges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from tabur.drivers.contract import Driver
from tabur.jobs.composing.plan import Plan
from tabur.jobs.handle import JobHandle
from tabur.jobs.pending import Dispatcher, PendingJob
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope
from tabur.jobs.seals import Seals
from tabur.jobs.sessions import Sessions

R = TypeVar("R")


class Switch:
    """A sender that asks for the `current` dispatcher, and for the seals of its app, each time."""

    def __init__(
        self,
        current: Callable[[], Dispatcher],
        registry: Registry,
        scope: CurrentScope,
        sessions: Sessions,
        seals: Callable[[], Seals],
    ) -> None:
        self._current = current
        self.registry = registry
        self.scope = scope
        self.sessions = sessions
        self._seals = seals

    @property
    def seals(self) -> Seals:
        return self._seals()

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        return self._current().dispatch(pending)

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        return self._current().dispatch_many(pending)

    def dispatch_async(self, pending: PendingJob[R]) -> Awaitable[JobHandle[R]]:
        return self._current().dispatch_async(pending)

    def dispatch_plan(self, plan: Plan) -> Sequence[Driver]:
        return self._current().dispatch_plan(plan)

    def dispatch_plan_async(self, plan: Plan) -> Awaitable[Sequence[Driver]]:
        return self._current().dispatch_plan_async(plan)
