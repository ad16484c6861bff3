"""Who works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from tabur.drivers.database.rows import names
from tabur.drivers.database.schema import WIDEST_VERSION, workers
from tabur.drivers.database.statements import ONE
from tabur.drivers.database.store import Store
from tabur.model.records import Pace, WorkerRecord, encode

P = bindparam
_pace = msgspec.json.Decoder(Pace)


class DatabaseWorkers:
    def __init__(self, store: Store) -> None:
        self._store = store
        w = workers.c
        self._delete = store.prepare(delete(workers).where(w.id == P("who")), "who")
        self._delete_still = store.prepare(
            delete(workers).where(w.id == P("who"), w.beats == P("beats")), "who", "beats"
        )
        self._insert = store.prepare(insert(workers), *names(workers))
        self._beat = store.keyed(update(workers).values(beats=w.beats + ONE), w.id)
        self._tell = store.prepare(
            update(workers).where(w.id == P("who")).values(pace=P("told")), "told", "who"
        )
        self._list = store.prepare(
            select(
                *(w.id, w.host, w.pid, w.started_at, w.beats),
                *(w.queues, w.supervisor, w.version, w.pace),
            ).order_by(w.started_at, w.id)
        )

    def register(self, worker: WorkerRecord) -> None:
        row = (
            worker.id,
            worker.supervisor,
            worker.host,
            worker.pid,
            ",".join(worker.queues),
            worker.started_at,
            worker.beats,
            worker.version[:WIDEST_VERSION],
            None if worker.pace is None else encode(worker.pace).decode(),
        )

        def register(cursor: Any) -> None:
            self._delete.run(cursor, worker.id)
            self._insert.run(cursor, *row)

        self._store.transact(lambda tx: register(tx.cursor))

    def beat(self, workers: Sequence[str]) -> int:
        return self._store.alone(lambda cursor: self._beat.run(cursor, workers))

    def tell(self, paces: Mapping[str, Pace]) -> None:
        rows = [(encode(pace).decode(), worker) for worker, pace in sorted(paces.items())]
        self._store.transact(lambda tx: self._tell.many(tx.cursor, rows))

    def list(self) -> Sequence[WorkerRecord]:
        with self._store.read() as cursor:
            rows = self._list.all(cursor)
        return [
            WorkerRecord(
                worker,
                host,
                pid,
                started_at,
                beats,
                queues=tuple(filter(None, queues.split(","))),
                supervisor=supervisor,
                version=version,
                pace=None if pace is None else _pace.decode(pace),
            )
            for worker, host, pid, started_at, beats, queues, supervisor, version, pace in rows
        ]

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        if beats is None:
            removed = self._store.transact(lambda tx: self._delete.run(tx.cursor, worker))
        else:
            removed = self._store.transact(
                lambda tx: self._delete_still.run(tx.cursor, worker, beats)
            )
        return removed > 0
