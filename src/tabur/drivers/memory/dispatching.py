"""Bringing jobs in, and the moves that people ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.drivers.memory.inspection import matches
from tabur.drivers.memory.store import MemoryStore
from tabur.model.batches import NewBatch
from tabur.model.records import NewJob
from tabur.model.states import FINISHED, State

_RETRYABLE = frozenset({State.FAILED, State.CANCELLED})
_WAITING = frozenset({State.PENDING, State.SCHEDULED, State.BLOCKED})


class MemoryDispatching:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> Mapping[bytes, bytes]:
        with self._store.lock:
            jobs = self._store.bonds.admissible(jobs, batches)
            opened = self._store.bonds.open(batches)
            holders = {job.id: self._store.add(job) for job in jobs}
            self._store.bonds.close(opened)
            self._store.wake()
        return {job_id: holder for job_id, holder in holders.items() if holder is not None}

    def cancel(self, job_id: bytes) -> CancelAnswer:
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            if entry is None:
                return CancelAnswer.UNKNOWN
            if entry.state in FINISHED:
                return CancelAnswer.FINISHED
            self._store.cancel(entry, "Called back.")
            return CancelAnswer.CANCELLING if entry.cancelling else CancelAnswer.CANCELLED

    def retry(self, job_ids: Iterable[bytes]) -> int:
        retried = 0
        with self._store.lock:
            for job_id in list(job_ids):
                entry = self._store.jobs.get(job_id)
                if entry is None or entry.state not in _RETRYABLE:
                    continue
                if self._store.bonds.may_come_back(entry.job):
                    self._store.retry(entry)
                    retried += 1
            self._store.wake()
        return retried

    def forget(self, which: Filter) -> int:
        with self._store.lock:
            gone = [
                entry.job.id
                for entry in self._store.jobs.values()
                if entry.state in FINISHED and matches(entry, which)
            ]
            for job_id in gone:
                self._store.forget(job_id)
        return len(gone)

    def forget_one(self, job_id: bytes) -> bool:
        with self._store.lock:
            entry = self._store.jobs.get(job_id)
            if entry is None or entry.state not in FINISHED:
                return False
            self._store.forget(job_id)
            return True

    def clear(self, queue: str) -> int:
        with self._store.lock:
            waiting = [
                entry
                for entry in self._store.jobs.values()
                if entry.job.queue == queue and entry.state in _WAITING
            ]
            for entry in waiting:
                self._store.cancel(entry, "The queue was cleared.")
        return len(waiting)
