"""Batches in memory, for who looks at them and cancels them."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest

from msgspec.structs import replace

from tabur.drivers.memory.store import MemoryStore
from tabur.model.batches import UNFINISHED, BatchRecord


class MemoryBatches:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._batches = store.bonds.batches

    def find(self, batch_id: bytes) -> BatchRecord | None:
        with self._store.lock:
            return self._batches.get(batch_id)

    def list(self, *, limit: int, after: bytes | None = None) -> Sequence[BatchRecord]:
        with self._store.lock:
            behind = (each for each in self._batches.values() if after is None or each.id < after)
            return nlargest(limit, behind, key=lambda each: each.id)

    def cancel(self, batch_id: bytes) -> bool:
        with self._store.lock:
            batch = self._batches.get(batch_id)
            if batch is None or batch.finished_at is not None or batch.cancelled_at is not None:
                return False
            self._batches[batch_id] = replace(batch, cancelled_at=self._store.clock())
            return True

    def cancelled(self, batch_ids: Sequence[bytes]) -> frozenset[bytes]:
        with self._store.lock:
            found = (self._batches.get(each) for each in batch_ids)
            return frozenset(each.id for each in found if each and each.cancelled_at is not None)

    def prune(self, *, before: int, unfinished: bool = False, limit: int) -> int:
        with self._store.lock:
            gone = [
                each
                for each in self._batches.values()
                if (
                    each.finished_at is None and each.created_at < before
                    if unfinished
                    else each.finished_at is not None and each.finished_at < before
                )
            ][:limit]
            for each in gone:
                del self._batches[each.id]
                if unfinished:
                    self._store.bonds.cancel_waiting(
                        (*each.next, *each.catch, *each.finally_), UNFINISHED
                    )
        return len(gone)
