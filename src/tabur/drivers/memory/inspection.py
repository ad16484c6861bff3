"""Reading: jobs as records, queues, history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nlargest
from itertools import islice

from tabur.drivers.contract import Filter
from tabur.drivers.memory.entry import Entry, Past
from tabur.drivers.memory.store import MemoryStore
from tabur.model.records import Attachment, Attempt, Backlog, JobRecord, Owner, QueueSize
from tabur.model.states import FINISHED, State


class MemoryInspection:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def find(self, job_id: bytes) -> JobRecord | None:
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            return None if entry is None else record(entry, payload=entry.job.payload)

    def list(self, which: Filter, *, limit: int, after: bytes | None = None) -> Sequence[JobRecord]:
        with self._store.lock:
            behind = (
                entry for entry in self._matching(which) if after is None or entry.job.id < after
            )
            newest = nlargest(limit, behind, key=lambda entry: entry.job.id)
            return [record(entry) for entry in newest]

    def count(self, which: Filter, *, at_most: int) -> int:
        with self._store.lock:
            return sum(1 for _ in islice(self._matching(which), at_most))

    def queues(self) -> Sequence[QueueSize]:
        with self._store.lock:
            by_queue: dict[str, list[Entry]] = {}
            for entry in self._store.jobs.values():
                if entry.state not in FINISHED:
                    by_queue.setdefault(entry.job.queue, []).append(entry)
            return [_size(queue, by_queue[queue]) for queue in sorted(by_queue)]

    def backlog(self, queue: str, *, at_most: int) -> Backlog:
        with self._store.lock:
            which = Filter(states=(State.PENDING,), queue=queue)
            counted = [entry.job.created_at for entry in islice(self._matching(which), at_most)]
            return Backlog(len(counted), min(counted, default=None))

    def attempts(self, job_id: bytes) -> Sequence[Attempt]:
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            return [] if entry is None else [past.attempt for past in entry.history]

    def attachments(self, job_id: bytes) -> Sequence[Attachment]:
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            return (
                [] if entry is None else [entry.attachments[n] for n in sorted(entry.attachments)]
            )

    def cursor(self, job_id: bytes) -> bytes | None:
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            return None if entry is None else entry.cursor

    def _matching(self, which: Filter) -> Iterator[Entry]:
        return (entry for entry in self._store.jobs.values() if matches(entry, which))


def matches(entry: Entry, which: Filter) -> bool:
    job = entry.job
    if which.ended_before is not None or which.ended_since is not None:
        if entry.state not in FINISHED:
            return False
        ended_at = entry.history[-1].attempt.ended_at
        if which.ended_before is not None and ended_at >= which.ended_before:
            return False
        if which.ended_since is not None and ended_at < which.ended_since:
            return False
    return (
        (not which.states or entry.state in which.states)
        and (which.queue is None or job.queue == which.queue)
        and (which.name is None or job.name == which.name)
        and (which.owner is None or Owner(job.tenant, job.user) == which.owner)
        and (which.batch is None or (job.bonds is not None and job.bonds.batch == which.batch))
        and (which.tenant is None or job.tenant == which.tenant)
    )


def record(entry: Entry, *, payload: bytes = b"") -> JobRecord:
    """A job as it stands, with what is known of its last ended attempt."""
    job = entry.job
    last = entry.history[-1] if entry.history else _NOTHING
    claim = entry.claim
    return JobRecord(
        id=job.id,
        name=job.name,
        queue=job.queue,
        state=entry.state,
        priority=job.priority,
        created_at=job.created_at,
        attempts=entry.attempts,
        crashes=entry.crashes,
        options=job.options,
        tenant=job.tenant,
        user=job.user,
        locale=job.locale,
        due_at=entry.due_at,
        claimed_at=claim.at if claim else None,
        worker=claim.worker if claim else last.attempt.worker,
        cancelling=entry.cancelling,
        started_at=last.attempt.started_at,
        ended_at=last.attempt.ended_at if entry.history else None,
        error=last.attempt.error,
        result=last.result,
        progress=entry.progress,
        payload=payload,
    )


_NOTHING = Past(Attempt(0, "", None, 0, None, None))


def _size(queue: str, entries: Sequence[Entry]) -> QueueSize:
    def count(state: State) -> int:
        return sum(entry.state is state for entry in entries)

    return QueueSize(
        queue=queue,
        pending=count(State.PENDING),
        scheduled=count(State.SCHEDULED),
        blocked=count(State.BLOCKED),
        processing=count(State.PROCESSING),
        oldest_pending=min(
            (entry.job.created_at for entry in entries if entry.state is State.PENDING),
            default=None,
        ),
    )
