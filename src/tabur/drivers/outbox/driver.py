"""A driver with an outbox: what callers dispatch in their own transaction comes to its store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from tabur.drivers.contract import (
    Batches,
    CancelAnswer,
    Dispatching,
    Driver,
    Filter,
    Inspection,
    Listener,
    SelfExamining,
)
from tabur.drivers.outbox.outbox import Outbox
from tabur.drivers.outbox.relayer import Relayer
from tabur.errors import SchemaMissing, StoreUnavailable
from tabur.model.batches import BatchRecord, NewBatch, check_named
from tabur.model.findings import Finding, Level
from tabur.model.records import Attachment, Attempt, Backlog, JobRecord, NewJob, QueueSize

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class OutboxDriver:
    """As `driver`, and Transactional and Relaying besides."""

    def __init__(self, driver: Driver, outbox: Outbox) -> None:
        self._driver = driver
        self._outbox = outbox
        self._relayer = Relayer(self.relay)
        self.name = driver.name
        self.dispatching: Dispatching = _Dispatching(driver.dispatching, self._outbox, self.relay)
        self.claiming = driver.claiming
        self.batches: Batches = _Batches(driver.batches, outbox, self.relay)
        self.transfer = driver.transfer
        self.workers = driver.workers
        self.control = driver.control
        self.retention = driver.retention
        self.schedules = driver.schedules
        self.notes = driver.notes
        self.inspection: Inspection = _Inspection(driver.inspection, outbox)

    def dispatch_in(
        self,
        connection: Connection,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch] = (),
    ) -> Mapping[bytes, bytes]:
        """(Who holds a unique key, the store knows: whether a job is kept is seen when it comes
        there.)"""
        check_named(jobs, batches)
        self._outbox.put(connection, jobs, batches)
        event.listen(connection, "commit", lambda _: self._relayer.soon(), once=True)
        return {}

    def install(self, engine: Engine) -> None:
        pass  # an outbox is a table like any other

    def relay(self) -> int:
        return self._outbox.relay(self._driver)

    def keep_relaying(self, every: float) -> None:
        self._relayer.always(every)

    def now(self) -> int:
        return self._driver.now()

    def listen(self) -> Listener:
        return self._driver.listen()

    def migrate(self) -> Sequence[str]:
        return [*self._driver.migrate(), *self._outbox.migrate()]

    def script(self) -> Sequence[str]:
        return [*self._driver.script(), *self._outbox.script()]

    def check(self) -> Mapping[str, Any]:
        return {
            **self._driver.check(),
            "outbox": f"{self._outbox}, {self._outbox.count():,} waiting",
        }

    def examine(self) -> Sequence[Finding]:
        found = list(self._driver.examine() if isinstance(self._driver, SelfExamining) else ())
        try:
            self._outbox.count()
        except SchemaMissing as error:
            what = str(error).partition(" Run: ")[0]
            found.insert(0, Finding("tables-missing", Level.ERROR, what, "tabur migrate"))
        return found

    def close(self) -> None:
        self._relayer.close()
        self._outbox.close()
        self._driver.close()


class _Dispatching:
    def __init__(self, store: Dispatching, outbox: Outbox, relay: Callable[[], int]) -> None:
        self._store = store
        self._outbox = outbox
        self._relay = relay

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> Mapping[bytes, bytes]:
        return self._store.dispatch(jobs, batches)

    def cancel(self, job_id: bytes) -> CancelAnswer:
        answer = self._store.cancel(job_id)
        if answer is CancelAnswer.UNKNOWN and self._outbox.find(job_id) is not None:
            self._relay()
            return self._store.cancel(job_id)
        return answer

    def retry(self, job_ids: Iterable[bytes]) -> int:
        return self._store.retry(job_ids)

    def forget(self, which: Filter) -> int:
        return self._store.forget(which)

    def forget_one(self, job_id: bytes) -> bool:
        return self._store.forget_one(job_id)

    def clear(self, queue: str) -> int:
        return self._store.clear(queue)


class _Batches:
    """Finds and cancels what stands in the outbox too."""

    def __init__(self, store: Batches, outbox: Outbox, relay: Callable[[], int]) -> None:
        self._store = store
        self._outbox = outbox
        self._relay = relay

    def find(self, batch_id: bytes) -> BatchRecord | None:
        found = self._store.find(batch_id)
        # Asked a second time: it may have been brought between the two questions.
        return found or self._outbox.find_batch(batch_id) or self._store.find(batch_id)

    def list(self, *, limit: int, after: bytes | None = None) -> Sequence[BatchRecord]:
        return self._store.list(limit=limit, after=after)

    def cancel(self, batch_id: bytes) -> bool:
        if self._store.cancel(batch_id):
            return True
        if self._outbox.find_batch(batch_id) is None:
            return False
        self._relay()
        return self._store.cancel(batch_id)

    def cancelled(self, batch_ids: Sequence[bytes]) -> frozenset[bytes]:
        return self._store.cancelled(batch_ids)

    def prune(self, *, before: int, unfinished: bool = False, limit: int) -> int:
        return self._store.prune(before=before, unfinished=unfinished, limit=limit)


class _Inspection:
    """Finds what stands in the outbox too: a job is known from its commit on."""

    def __init__(self, store: Inspection, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    def find(self, job_id: bytes) -> JobRecord | None:
        try:
            found = self._store.find(job_id)
        except StoreUnavailable as error:
            return self._waiting(job_id, error)
        # Asked a second time: it may have been brought between the two questions.
        return found or self._outbox.find(job_id) or self._store.find(job_id)

    def list(self, which: Filter, *, limit: int, after: bytes | None = None) -> Sequence[JobRecord]:
        return self._store.list(which, limit=limit, after=after)

    def count(self, which: Filter, *, at_most: int) -> int:
        return self._store.count(which, at_most=at_most)

    def queues(self) -> Sequence[QueueSize]:
        return self._store.queues()

    def backlog(self, queue: str, *, at_most: int) -> Backlog:
        return self._store.backlog(queue, at_most=at_most)

    def attempts(self, job_id: bytes) -> Sequence[Attempt]:
        try:
            return self._store.attempts(job_id)
        except StoreUnavailable as error:
            self._waiting(job_id, error)
            return ()

    def attachments(self, job_id: bytes) -> Sequence[Attachment]:
        try:
            return self._store.attachments(job_id)
        except StoreUnavailable as error:
            self._waiting(job_id, error)
            return ()

    def cursor(self, job_id: bytes) -> bytes | None:
        try:
            return self._store.cursor(job_id)
        except StoreUnavailable as error:
            self._waiting(job_id, error)
            return None

    def _waiting(self, job_id: bytes, error: StoreUnavailable) -> JobRecord:
        """The job in the outbox: it has not run, and has left nothing. Raises `error` where there
        is none."""
        if (waiting := self._outbox.find(job_id)) is None:
            raise error
        return waiting
