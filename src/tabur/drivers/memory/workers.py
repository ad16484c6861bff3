"""Who works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tabur.drivers.memory.store import MemoryStore
from tabur.model.records import Pace, WorkerRecord


class MemoryWorkers:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def register(self, worker: WorkerRecord) -> None:
        with self._store.lock:
            self._store.workers[worker.id] = worker

    def beat(self, workers: Sequence[str]) -> int:
        known = self._store.workers
        with self._store.lock:
            beating = [each for each in workers if each in known]
            for each in beating:
                known[each] = replace(known[each], beats=known[each].beats + 1)
        return len(beating)

    def tell(self, paces: Mapping[str, Pace]) -> None:
        known = self._store.workers
        with self._store.lock:
            for each in paces.keys() & known.keys():
                known[each] = replace(known[each], pace=paces[each])

    def list(self) -> Sequence[WorkerRecord]:
        with self._store.lock:
            return list(self._store.workers.values())

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        known = self._store.workers
        with self._store.lock:
            if worker not in known or beats not in (None, known[worker].beats):
                return False
            del known[worker]
            return True
