"""Finished jobs as what takes room, and their removal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabur.drivers.database.dispatching import CHUNK, DatabaseDispatching
from tabur.drivers.database.rows import LARGEST
from tabur.drivers.database.store import Store
from tabur.model.keeping import FinishedJob
from tabur.model.states import State

_PAGE = 1_000


class DatabaseRetention:
    def __init__(self, store: Store, dispatching: DatabaseDispatching) -> None:
        self._store = store
        self._dispatching = dispatching
        self._finished = store.prepare(_FINISHED, "below", "before")

    def finished(self, *, before: int | None = None) -> Iterator[Sequence[FinishedJob]]:
        below = LARGEST
        bound = LARGEST if before is None else before
        while True:
            with self._store.read_anew() as cursor:
                rows = self._finished.all(cursor, below, bound)
            if not rows:
                return
            yield [
                FinishedJob(job_id, name, State(ending), ended_at, size)
                for _, job_id, name, ending, ended_at, size in rows
            ]
            below = rows[-1][0]

    def remove(self, job_ids: Sequence[bytes]) -> int:
        return sum(
            self._dispatching.forget_these(job_ids[first : first + CHUNK])
            for first in range(0, len(job_ids), CHUNK)
        )


#: By number, which rises with the moment: of a job that has finished, its last outcome alone says
#: so. Lengths are known without the bytes.
_FINISHED = f"""
    SELECT o.seq, o.id, r.name, o.ending, o.ended_at,
           length(r.payload) + coalesce(length(o.result), 0)
      FROM job_outcomes o JOIN job_records r ON r.id = o.id
     WHERE o.ending IN ('completed', 'failed', 'cancelled') AND o.seq < :below
       AND o.ended_at < :before
     ORDER BY o.seq DESC LIMIT {_PAGE}
"""
