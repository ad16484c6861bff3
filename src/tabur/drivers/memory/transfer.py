"""Taking jobs out, to bring them into another store."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from tabur.drivers.contract import Body, Rewrite
from tabur.drivers.memory.entry import Entry
from tabur.drivers.memory.store import MemoryStore
from tabur.model.records import NewJob
from tabur.model.states import State


class MemoryTransfer:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def take_out(self, queue: str | None, *, limit: int) -> Sequence[NewJob]:
        with self._store.lock:
            taken = [
                entry
                for state in (State.PENDING, State.SCHEDULED)
                for entry in self._store.jobs.values()
                if entry.state is state
                and queue in (None, entry.job.queue)
                and entry.cursor is None
                and entry.job.bonds is None
            ][:limit]
            for entry in taken:
                self._store.take_out(entry)
            return [_new_again(entry) for entry in taken]

    def taken_out(self) -> Sequence[NewJob]:
        with self._store.lock:
            out = (entry for entry in self._store.jobs.values() if entry.blockers < 0)
            return [_new_again(entry) for entry in islice(out, 1000)]

    def gone(self, job_ids: Sequence[bytes]) -> None:
        with self._store.lock:
            for entry in self._out(job_ids):
                del self._store.jobs[entry.job.id]

    def put_back(self, job_ids: Sequence[bytes]) -> None:
        with self._store.lock:
            for entry in self._out(job_ids):
                entry.blockers = 0
                self._store.queue_up(entry)
            self._store.wake()

    def rewrite(self, changes: Sequence[Rewrite]) -> int:
        with self._store.lock:
            return sum(self._rewritten(each) for each in changes)

    def _rewritten(self, change: Rewrite) -> bool:
        entry = self._store.jobs.get(change.id)
        if entry is None:
            return False
        if change.body is Body.PAYLOAD:
            stands = entry.job.payload == change.before
            entry.job = replace(entry.job, payload=change.after) if stands else entry.job
            return stands
        past = next((each for each in entry.history if each.result == change.before), None)
        if past is not None:
            past.result = change.after
        return past is not None

    def _out(self, job_ids: Sequence[bytes]) -> list[Entry]:
        found = [self._store.jobs.get(job_id) for job_id in job_ids]
        return [entry for entry in found if entry is not None and entry.blockers < 0]


def _new_again(entry: Entry) -> NewJob:
    """The job as it would be dispatched into another store."""
    return replace(
        entry.job,
        isolation=entry.isolation,
        due_at=entry.due_at,
        attempts=entry.attempts,
        exceptions=entry.exceptions,
        crashes=entry.crashes,
    )
