"""Who works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from tabur.drivers.redis import scripts
from tabur.drivers.redis.link import Link
from tabur.drivers.redis.scripts import Keys
from tabur.model.records import Pace, WorkerRecord, encode

_record = msgspec.msgpack.Decoder(WorkerRecord)
_pace = msgspec.json.Decoder(Pace)


class RedisWorkers:
    """Hashes `workers` (what each said of itself), `beats` (how often it was seen since) and
    `paces` (how fast it is)."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = tuple(keys[name] for name in ("workers", "beats", "paces"))

    def register(self, worker: WorkerRecord) -> None:
        packed = msgspec.msgpack.encode(worker)
        self._link.run(scripts.REGISTER, worker.id, packed, keys=self._keys, again=True)

    def beat(self, workers: Sequence[str]) -> int:
        beating: int = self._link.run(scripts.BEAT, *workers, keys=self._keys, again=True)
        return beating

    def tell(self, paces: Mapping[str, Pace]) -> None:
        words = [word for each, pace in paces.items() for word in (each, encode(pace))]
        self._link.run(scripts.TELL, *words, keys=self._keys, again=True)

    def list(self) -> Sequence[WorkerRecord]:
        records, counted, told = self._link.run(scripts.WORKERS, keys=self._keys, again=True)
        beats, paces = _pairs(counted), _pairs(told)
        return [
            replace(
                record,
                beats=record.beats + int(beats.get(record.id.encode(), 0)),
                pace=_pace.decode(paces[key]) if (key := record.id.encode()) in paces else None,
            )
            for record in map(_record.decode, records)
        ]

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        still = "" if beats is None else beats
        removed: int = self._link.run(scripts.REMOVE, worker, still, keys=self._keys)
        return removed > 0


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    words = iter(flat)
    return dict(zip(words, words, strict=True))
