"""The fake queue: what was dispatched inside `jobs.fake()`, and questions about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from tabur.dispatch.recorded_plans import AnyJob, ComposedAssertions, definition_of
from tabur.drivers.contract import Driver
from tabur.jobs.composing.plan import Plan
from tabur.jobs.handle import JobHandle
from tabur.jobs.pending import Dispatcher, PendingJob
from tabur.model.ids import id_bytes
from tabur.model.records import JobRecord

R = TypeVar("R")

Predicate = Callable[[PendingJob[Any]], bool]


class FakeQueue(ComposedAssertions):
    """What was pushed, in order, with assertions whose failures say what was pushed instead.

    `job` is a declared function or class; a predicate gets the pending job, with its arguments as
    `.args`: `queue.assert_pushed(send, lambda job: job.args.order_id == 1)`. What waited for a
    commit that did not come was not pushed.
    """

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self._pending: dict[bytes, PendingJob[Any]] = {}

    @property
    def count(self) -> int:
        """How many jobs were pushed."""
        return len(self._kept())

    def pushed(self, job: AnyJob | None = None) -> list[PendingJob[Any]]:
        """The jobs that were pushed; with `job`, only those of that kind."""
        return [pending for pending, _ in self._matching(job, None)]

    def assert_pushed(
        self, job: AnyJob, predicate: Predicate | None = None, *, times: int | None = None
    ) -> None:
        """It was pushed at least once, or exactly `times` times."""
        found = len(self._matching(job, predicate))
        if times is None and not found:
            raise AssertionError(f"{self._described(job, predicate)} was not pushed. {self._all()}")
        if times is not None and found != times:
            raise AssertionError(
                f"{self._described(job, predicate)} was pushed {found} times, not {times}. "
                f"{self._all()}"
            )

    def assert_pushed_on(self, queue: str, job: AnyJob, predicate: Predicate | None = None) -> None:
        """It was pushed at least once on this queue."""
        if all(record.queue != queue for _, record in self._matching(job, predicate)):
            raise AssertionError(
                f"{self._described(job, predicate)} was not pushed on {queue!r}. {self._all()}"
            )

    def assert_not_pushed(self, job: AnyJob, predicate: Predicate | None = None) -> None:
        if self._matching(job, predicate):
            raise AssertionError(f"{self._described(job, predicate)} was pushed. {self._all()}")

    def assert_nothing_pushed(self) -> None:
        if self._kept():
            raise AssertionError(f"Something was pushed. {self._all()}")

    def record(self, handle: JobHandle[Any], pending: PendingJob[Any]) -> None:
        """Remember what was dispatched; a repetition by its idempotency key is the same job."""
        self._pending.setdefault(id_bytes(handle.id), pending)

    def record_plan(self, plan: Plan) -> None:
        """Remember what was dispatched together; the jobs of a batch have been pushed too, its
        callbacks not."""
        super().record_plan(plan)
        self._pending |= {each.id: each.pending for each in plan.nodes if each.batch is not None}

    def _kept(self) -> list[tuple[PendingJob[Any], JobRecord]]:
        """What the store knows: neither rolled back nor still waiting for a commit."""
        found = (
            (each, self._driver.inspection.find(job_id)) for job_id, each in self._pending.items()
        )
        return [(pending, record) for pending, record in found if record is not None]

    def _matching(
        self, job: AnyJob | None, predicate: Predicate | None
    ) -> list[tuple[PendingJob[Any], JobRecord]]:
        definition = None if job is None else definition_of(job)
        return [
            (pending, record)
            for pending, record in self._kept()
            if (definition is None or pending.definition is definition)
            and (predicate is None or predicate(pending))
        ]

    def _described(self, job: AnyJob, predicate: Predicate | None) -> str:
        name = definition_of(job).name
        return name if predicate is None else f"{name} of which the predicate holds"

    def _all(self) -> str:
        kept = [f"{pending!r} on {record.queue!r}" for pending, record in self._kept()]
        return "Pushed: " + ("; ".join(kept) if kept else "nothing") + "."


class RecordingDispatcher:
    """Lets dispatches through to `inner` and has `queue` remember them."""

    def __init__(self, inner: Dispatcher, queue: FakeQueue) -> None:
        self._inner = inner
        self._queue = queue

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        handle = self._inner.dispatch(pending)
        self._queue.record(handle, pending)
        return handle

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        many = list(pending)
        handles = self._inner.dispatch_many(many)
        for handle, each in zip(handles, many, strict=True):
            self._queue.record(handle, each)
        return handles

    def dispatch_async(self, pending: PendingJob[R]) -> Awaitable[JobHandle[R]]:
        return self._recorded(self._inner.dispatch_async(pending), pending)

    def dispatch_plan(self, plan: Plan) -> Sequence[Driver]:
        drivers = self._inner.dispatch_plan(plan)
        self._queue.record_plan(plan)
        return drivers

    async def dispatch_plan_async(self, plan: Plan) -> Sequence[Driver]:
        drivers = await self._inner.dispatch_plan_async(plan)
        self._queue.record_plan(plan)
        return drivers

    async def _recorded(
        self, dispatched: Awaitable[JobHandle[R]], pending: PendingJob[R]
    ) -> JobHandle[R]:
        handle = await dispatched
        self._queue.record(handle, pending)
        return handle
