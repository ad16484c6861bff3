"""Batches, for who looks at them, cancels and prunes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabur.drivers.redis import scripts
from tabur.drivers.redis.bonds import batch_record, is_cancelled
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys
from tabur.model.batches import BatchRecord

#: Batches that one script removes, so that it stays short.
CHUNK = 100


class RedisBatches:
    def __init__(self, link: Link, keys: Keys, now: Callable[[], Word]) -> None:
        self._link = link
        self._batches = keys["batches"]
        self._ids = keys["batch_ids"]
        self._now = now

    def find(self, batch_id: bytes) -> BatchRecord | None:
        packed = self._link.ask("HGET", self._batches, batch_id)
        return None if packed is None else batch_record(batch_id, packed)

    def list(self, *, limit: int, after: bytes | None = None) -> Sequence[BatchRecord]:
        bound: Word = "+" if after is None else b"(" + after
        ids = self._link.ask("ZREVRANGEBYLEX", self._ids, bound, "-", "LIMIT", 0, limit)
        return [
            batch_record(batch_id, packed)
            for batch_id, packed in zip(ids, self._read(ids), strict=True)
            if packed is not None  # pruned just now
        ]

    def cancel(self, batch_id: bytes) -> bool:
        """Never sent twice: it would answer that it was cancelled already."""
        return bool(self._link.run(scripts.BATCH_CANCEL, self._now(), batch_id, durable=True))

    def cancelled(self, batch_ids: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset(
            batch_id
            for batch_id, packed in zip(batch_ids, self._read(batch_ids), strict=True)
            if packed is not None and is_cancelled(packed)
        )

    def prune(self, *, before: int, unfinished: bool = False, limit: int) -> int:
        which = "unfinished" if unfinished else "finished"
        pruned = 0
        while pruned < limit:
            count = min(CHUNK, limit - pruned)
            gone = self._link.run(scripts.BATCH_PRUNE, self._now(), which, before, count)
            pruned += gone
            if gone < count:
                break
        return pruned

    def _read(self, batch_ids: Sequence[bytes]) -> Sequence[bytes | None]:
        if not batch_ids:
            return []
        packed: list[bytes | None] = self._link.ask("HMGET", self._batches, *batch_ids)
        return packed
