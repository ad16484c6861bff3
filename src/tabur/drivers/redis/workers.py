"""Who works."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from tabur.drivers.redis import scripts
from tabur.drivers.redis.link import Link
from tabur.drivers.redis.scripts import Keys
from tabur.model.records import WorkerRecord

_record = msgspec.msgpack.Decoder(WorkerRecord)


class RedisWorkers:
    """Hashes `workers` (what each said of itself) and `beats` (how often it was seen since)."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._known, self._beats = keys["workers"], keys["beats"]

    def register(self, worker: WorkerRecord) -> None:
        packed = msgspec.msgpack.encode(worker)
        keys = (self._known, self._beats)
        self._link.run(scripts.REGISTER, worker.id, packed, keys=keys, again=True)

    def beat(self, workers: Sequence[str]) -> int:
        keys = (self._known, self._beats)
        beating: int = self._link.run(scripts.BEAT, *workers, keys=keys, again=True)
        return beating

    def list(self) -> Sequence[WorkerRecord]:
        records, counted = self._link.run(
            scripts.WORKERS, keys=(self._known, self._beats), again=True
        )
        beats = _pairs(counted)
        return [
            replace(record, beats=record.beats + int(beats.get(record.id.encode(), 0)))
            for record in map(_record.decode, records)
        ]

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        still = "" if beats is None else beats
        keys = (self._known, self._beats)
        removed: int = self._link.run(scripts.REMOVE, worker, still, keys=keys)
        return removed > 0


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    words = iter(flat)
    return dict(zip(words, words, strict=True))
