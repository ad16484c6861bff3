"""A dispatched batch, chain or workflow: how far it is, and what can be done to it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tabur.drivers.contract import Driver, Filter
from tabur.errors import BatchNotFound, ConfigError, JobNotFound
from tabur.jobs.handle import JobHandle
from tabur.jobs.located import Located, waited
from tabur.jobs.seals import Seals
from tabur.model.batches import CALLED_OFF, BatchRecord
from tabur.model.clock import as_datetime
from tabur.model.compositions import Composition, Kind, decode_composition
from tabur.model.ids import id_bytes, id_text
from tabur.model.records import JobRecord, Progress
from tabur.model.states import State

if TYPE_CHECKING:
    from tabur.jobs.composing.pending import Member

#: Jobs read at once.
PAGE = 500


class BatchStatus(msgspec.Struct, frozen=True):
    """One look at a batch, with what is within it; moments are UTC. `total`, `pending` (not ended),
    `completed`, `failed` and `cancelled` count jobs, its callbacks not among them."""

    id: str
    name: str
    kind: Kind
    connection: str
    total: int
    pending: int
    completed: int
    failed: int
    cancelled: int
    allow_failures: bool
    created_at: datetime
    cancelled_at: datetime | None
    finished_at: datetime | None
    tenant: str | None
    user: str | None

    @property
    def percent(self) -> int:
        """0-100: how many of its jobs have ended."""
        return 100 if not self.total else (self.total - self.pending) * 100 // self.total

    @property
    def finished(self) -> bool:
        return self.finished_at is not None

    @property
    def succeeded(self) -> bool:
        """All of its jobs have completed."""
        return self.finished and self.completed == self.total


class BatchHandle(Located):
    """A batch's id with what can be asked of it. Cheap; nothing is read until asked.

    `drivers`: the stores in which it may be; the first that knows it is asked from then on.
    `seals`: of its app.
    """

    __slots__ = ()

    def status(self) -> BatchStatus:
        """Raises BatchNotFound."""
        return status_of(self._records(), self.connection)

    def progress(self) -> Progress:
        """How many of its jobs have ended. Raises BatchNotFound."""
        status = self.status()
        return Progress(status.total - status.pending, status.total, unit="jobs")

    @property
    def cancelled(self) -> bool:
        """Whether no more of its jobs are to begin: it was cancelled, or one has failed and
        failures are not allowed."""
        return bool(self._driver.batches.cancelled([self._id]))

    def cancel(self) -> bool:
        """Let no more of its jobs begin; what runs goes on. Workers cancel the rest as they come to
        it. False where it has finished or was cancelled before. Raises BatchNotFound."""
        answers = [self._driver.batches.cancel(each.id) for each in self._records()]
        return any(answers)

    def add(self, jobs: Iterable[Member]) -> int:
        """Put more jobs into it, also from inside one of its own: `ctx.batch.add([…])`. Answers how
        many. Raises ConfigError where it has finished, for then its callbacks have begun."""
        from tabur.jobs.composing.adding import adding  # which needs handles itself

        record = self._record()
        composition = decode_composition(record.options)
        if composition.kind is not Kind.BATCH:
            raise ConfigError(
                f"A {composition.kind} takes no more jobs: its order is made. Let it have a batch "
                "as a part."
            )
        plan = adding(jobs, record, composition)
        if plan.nodes:
            plan.nodes[0].pending.sender.dispatch_plan(plan)
        return len(plan.nodes)

    def retry_failed(self) -> int:
        """Run again what has failed, and what did not begin because of it; the batch goes on from
        there. Answers how many were brought back by themselves. Raises BatchNotFound."""
        found = [
            job.id
            for record in self._records()
            for job in self._of(record.id, State.FAILED, State.CANCELLED)
            if job.state is State.FAILED or _was_called_off(job)
        ]
        return self._driver.dispatching.retry(sorted(found))  # oldest first, as they came

    def jobs(self) -> Iterator[JobHandle[Any]]:
        """Its jobs, newest first."""
        return map(self._job, self._all())

    def failed_jobs(self) -> Iterator[JobHandle[Any]]:
        """Those that have failed, newest first."""
        return map(self._job, self._all(State.FAILED))

    def wait(self, timeout: float | None = None) -> BatchStatus:
        """Its status once it has finished, however. Raises TimeoutError after `timeout` seconds,
        and BatchNotFound."""
        return waited(
            self.status,
            lambda status: status.finished,
            lambda status: f"Batch {self.id} has still {status.pending:,} jobs",
            timeout,
        )

    async def wait_async(self, timeout: float | None = None) -> BatchStatus:
        """As `wait`, without holding the event loop."""
        import asyncio

        return await asyncio.to_thread(self.wait, timeout)

    def _is_in(self, driver: Driver) -> bool:
        return driver.batches.find(self._id) is not None

    def _record(self) -> BatchRecord:
        record = self._driver.batches.find(self._id)
        if record is None:
            raise BatchNotFound(self.id)
        return record

    def _records(self) -> list[BatchRecord]:
        """Its own, then those of the batches within it."""
        return with_parts(self._driver, self._record())

    def _job(self, record: JobRecord) -> JobHandle[Any]:
        return JobHandle([self._driver], record.id, seals=self._seals)

    def _all(self, *states: State) -> Iterator[JobRecord]:
        return (job for record in self._records() for job in self._of(record.id, *states))

    def _of(self, batch: bytes, *states: State) -> Iterator[JobRecord]:
        return jobs_of(self._driver, batch, *states)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


def find_batch(drivers: Sequence[Driver], batch_id: str, seals: Seals) -> BatchHandle | None:
    found = record_of(drivers, batch_id)
    return None if found is None else BatchHandle([found[0]], found[1].id, seals=seals)


def record_of(drivers: Sequence[Driver], batch_id: str) -> tuple[Driver, BatchRecord] | None:
    """A batch with the store that it is in."""
    try:
        wanted = id_bytes(batch_id)
    except JobNotFound:
        return None
    for driver in drivers:
        record = driver.batches.find(wanted)
        if record is not None:
            return driver, record
    return None


def newest_batches(drivers: Sequence[Driver], *, limit: int) -> list[BatchStatus]:
    found = [
        (record.id, driver, record)
        for driver in drivers
        for record in driver.batches.list(limit=limit)
    ]
    newest = heapq.nlargest(limit, found, key=lambda each: each[0])
    return [status_of(with_parts(driver, record), driver.name) for _, driver, record in newest]


def with_parts(driver: Driver, batch: BatchRecord) -> list[BatchRecord]:
    """A batch, then those within it."""
    parts = map(driver.batches.find, decode_composition(batch.options).parts)
    return [batch, *(each for each in parts if each is not None)]


def status_of(records: Sequence[BatchRecord], connection: str) -> BatchStatus:
    """Of a batch, the first of `records`, and those within it."""
    own = records[0]
    ends = [each.finished_at for each in records]
    finished_at = None if None in ends else max(end for end in ends if end is not None)
    return BatchStatus(
        id=id_text(own.id),
        name=own.name,
        kind=_kind(own),
        connection=connection,
        total=sum(each.total for each in records),
        pending=sum(each.pending for each in records),
        completed=sum(each.completed for each in records),
        failed=sum(each.failed for each in records),
        cancelled=sum(each.cancelled for each in records),
        allow_failures=own.allow_failures,
        created_at=_moment(own.created_at),
        cancelled_at=as_datetime(own.cancelled_at),
        finished_at=as_datetime(finished_at),
        tenant=own.tenant,
        user=own.user,
    )


def jobs_of(driver: Driver, batch: bytes, *states: State) -> Iterator[JobRecord]:
    """The jobs that a batch counts, newest first, without their payloads."""
    which = Filter(batch=batch, states=states)
    after: bytes | None = None
    while page := driver.inspection.list(which, limit=PAGE, after=after):
        yield from page
        after = page[-1].id


def _kind(record: BatchRecord) -> Kind:
    composition: Composition = decode_composition(record.options)
    return composition.kind


def _was_called_off(job: JobRecord) -> bool:
    return job.error is not None and job.error.message == CALLED_OFF


def _moment(us: int) -> datetime:
    moment = as_datetime(us)
    assert moment is not None
    return moment
