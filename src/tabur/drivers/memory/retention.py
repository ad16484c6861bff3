"""Finished jobs as what takes room, and their removal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabur.drivers.memory.entry import Entry
from tabur.drivers.memory.store import MemoryStore
from tabur.model.keeping import FinishedJob
from tabur.model.states import FINISHED

_PAGE = 1_000


class MemoryRetention:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def finished(self, *, before: int | None = None) -> Iterator[Sequence[FinishedJob]]:
        with self._store.lock:
            entries = [each for each in self._store.jobs.values() if each.state in FINISHED]
            jobs = [_finished(each) for each in entries]
        jobs.sort(key=lambda job: job.ended_at, reverse=True)
        wanted = [job for job in jobs if before is None or job.ended_at < before]
        for first in range(0, len(wanted), _PAGE):
            yield wanted[first : first + _PAGE]

    def remove(self, job_ids: Sequence[bytes]) -> int:
        removed = 0
        with self._store.lock:
            for job_id in job_ids:
                entry = self._store.jobs.get(job_id)
                if entry is not None and entry.state in FINISHED:
                    self._store.forget(job_id)
                    removed += 1
        return removed


def _finished(entry: Entry) -> FinishedJob:
    job, last = entry.job, entry.history[-1]
    size = len(job.payload) + len(last.result or b"")
    return FinishedJob(job.id, job.name, entry.state, last.attempt.ended_at, size)
