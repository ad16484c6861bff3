"""The fake queue: what was dispatched inside `jobs.fake()`, and questions about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from tabur.config import ConnectionName
from tabur.dispatch.recorded_plans import AnyJob, ComposedAssertions, definition_of
from tabur.drivers.contract import Driver
from tabur.errors import ConfigError
from tabur.jobs.composing.plan import Plan
from tabur.jobs.handle import JobHandle
from tabur.jobs.pending import Dispatcher, PendingJob
from tabur.jobs.spans import span_us
from tabur.model.ids import id_bytes
from tabur.model.records import JobRecord

R = TypeVar("R")

Predicate = Callable[[PendingJob[Any]], bool]


#: How many of the pushed jobs the text of a failure names.
SHOWN = 20


class FakeStore(Driver, Protocol):
    """The store of a fake, whose clock is set on."""

    def travel(self, us: int) -> None: ...

    def next_retry(self) -> int | None: ...


class FakeQueue(ComposedAssertions):
    """What was pushed, in order, with assertions whose failures say what was pushed instead.

    `job` is a declared function or class; a predicate gets the pending job, with its arguments as
    `.args`: `queue.assert_pushed(send, lambda job: job.args.order_id == 1)`. What waited for a
    commit that did not come was not pushed, nor was what its unique key kept out. Any thread may
    push and ask.

    `connection`: where jobs go that name none; `work` runs some of what is due, and answers how
    many.
    """

    def __init__(self, driver: FakeStore, *, connection: str, work: Callable[[], int]) -> None:
        super().__init__(driver)
        self._store = driver
        self._connection = connection
        self._work = work
        self._pending: dict[bytes, PendingJob[Any]] = {}

    @property
    def count(self) -> int:
        """How many jobs were pushed."""
        return len(self._kept())

    def pushed(self, job: AnyJob | None = None) -> list[PendingJob[Any]]:
        """The jobs that were pushed; with `job`, only those of that kind."""
        return [pending for pending, _ in self._matching(job, None)]

    # assertions

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

    def assert_pushed_to(
        self, connection: ConnectionName, job: AnyJob, predicate: Predicate | None = None
    ) -> None:
        """It was pushed at least once to this connection; `sync`: to be run at once."""
        went = {self._connection_of(each) for each, _ in self._matching(job, predicate)}
        if connection not in went:
            instead = f"It went to {', '.join(map(repr, sorted(went)))}. " if went else ""
            raise AssertionError(
                f"{self._described(job, predicate)} was not pushed to {connection!r}. "
                f"{instead}{self._all()}"
            )

    def assert_pushed_after_commit(self, job: AnyJob, predicate: Predicate | None = None) -> None:
        """It was pushed at least once by `after_commit=True`, and the commit has come."""
        if not any(each.settings.after_commit for each, _ in self._matching(job, predicate)):
            raise AssertionError(
                f"{self._described(job, predicate)} was not pushed after a commit. {self._all()}"
            )

    def assert_not_pushed(self, job: AnyJob, predicate: Predicate | None = None) -> None:
        if self._matching(job, predicate):
            raise AssertionError(f"{self._described(job, predicate)} was pushed. {self._all()}")

    def assert_nothing_pushed(self) -> None:
        if self._kept():
            raise AssertionError(f"Something was pushed. {self._all()}")

    def assert_count(self, count: int) -> None:
        """So many jobs were pushed in all."""
        if self.count != count:
            raise AssertionError(f"{self.count} jobs were pushed, not {count}. {self._all()}")

    # running

    def travel(self, span: timedelta | float) -> None:
        """Set the queue's clock on by so many seconds: what was delayed until then may run."""
        self._store.travel(span_us(span, "span"))

    def drain(self, *, limit: int = 1000) -> int:
        """Run what is due, here, on the path that jobs take in a worker, and what it dispatches;
        for a retry the queue's clock is set on by its delay. What is delayed stays (see `travel`).
        Errors are recorded, as in a worker: ask the handle. Answers how many runs there were.
        Raises AssertionError after `limit` of them."""
        runs = 0
        while runs <= limit:
            some = self._work()
            runs += some
            if not some:
                due_at = self._store.next_retry()
                if due_at is None:
                    return runs
                self._store.travel(max(0, due_at - self._store.now()))
        raise AssertionError(f"There were {runs} runs, and there is no end of it. {self._all()}")

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
        pending = list(self._pending.items())  # another thread may push meanwhile
        found = ((each, self._driver.inspection.find(job_id)) for job_id, each in pending)
        return [(each, record) for each, record in found if record is not None]

    def _connection_of(self, pending: PendingJob[Any]) -> str:
        declared = pending.definition.options.connection
        return pending.settings.connection or declared or self._connection

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
        if len(kept) > SHOWN:
            kept[SHOWN:] = [f"and {len(kept) - SHOWN} more"]
        return "Pushed: " + ("; ".join(kept) if kept else "nothing") + "."


class Faked:
    """Which jobs a fake takes: of `only`, if given, and not of `except_`. Raises ConfigError."""

    def __init__(self, only: Collection[AnyJob] | None, except_: Collection[AnyJob]) -> None:
        if only is not None and except_:
            raise ConfigError("fake(only=…, except_=…): give one of them.")
        self._only = None if only is None else {definition_of(job).name for job in only}
        self._except = {definition_of(job).name for job in except_}

    @property
    def all(self) -> bool:
        return self._only is None and not self._except

    def takes(self, pending: PendingJob[Any]) -> bool:
        return (self._only is None or pending.name in self._only) and (
            pending.name not in self._except
        )

    def takes_plan(self, plan: Plan) -> bool:
        """What belongs together is faked together: all of it, if one of its jobs is."""
        return self.all or any(self.takes(each.pending) for each in plan.nodes)


class RecordingDispatcher:
    """Lets dispatches of jobs that are faked through to `inner`, and has `queue` remember them; the
    others go to `others`."""

    def __init__(
        self, inner: Dispatcher, queue: FakeQueue, faked: Faked, *, others: Dispatcher
    ) -> None:
        self._inner = inner
        self._queue = queue
        self._faked = faked
        self._others = others

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        if not self._faked.takes(pending):
            return self._others.dispatch(pending)
        handle = self._inner.dispatch(pending)
        self._queue.record(handle, pending)
        return handle

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        many = list(pending)
        faked = [each for each in many if self._faked.takes(each)]
        others = [each for each in many if not self._faked.takes(each)]
        sent = iter(self._others.dispatch_many(others))
        recorded = iter(self._record_many(faked))
        return [next(recorded if self._faked.takes(each) else sent) for each in many]

    def _record_many(self, many: list[PendingJob[Any]]) -> list[JobHandle[Any]]:
        handles = self._inner.dispatch_many(many)
        for handle, each in zip(handles, many, strict=True):
            self._queue.record(handle, each)
        return handles

    def dispatch_async(self, pending: PendingJob[R]) -> Awaitable[JobHandle[R]]:
        if not self._faked.takes(pending):
            return self._others.dispatch_async(pending)
        return self._recorded(self._inner.dispatch_async(pending), pending)

    def dispatch_plan(self, plan: Plan) -> Sequence[Driver]:
        if not self._faked.takes_plan(plan):
            return self._others.dispatch_plan(plan)
        drivers = self._inner.dispatch_plan(plan)
        self._queue.record_plan(plan)
        return drivers

    async def dispatch_plan_async(self, plan: Plan) -> Sequence[Driver]:
        if not self._faked.takes_plan(plan):
            return await self._others.dispatch_plan_async(plan)
        drivers = await self._inner.dispatch_plan_async(plan)
        self._queue.record_plan(plan)
        return drivers

    async def _recorded(
        self, dispatched: Awaitable[JobHandle[R]], pending: PendingJob[R]
    ) -> JobHandle[R]:
        handle = await dispatched
        self._queue.record(handle, pending)
        return handle
