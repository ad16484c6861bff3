"""Who works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from tabur.drivers.database.rows import names
from tabur.drivers.database.schema import WIDEST_VERSION, workers
from tabur.drivers.database.statements import ONE
from tabur.drivers.database.store import Store
from tabur.model.records import WorkerRecord

P = bindparam


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
        self._list = store.prepare(
            select(
                *(w.id, w.host, w.pid, w.started_at, w.beats, w.queues, w.supervisor, w.version)
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
        )

        def register(cursor: Any) -> None:
            self._delete.run(cursor, worker.id)
            self._insert.run(cursor, *row)

        self._store.transact(lambda tx: register(tx.cursor))

    def beat(self, workers: Sequence[str]) -> int:
        return self._store.alone(lambda cursor: self._beat.run(cursor, workers))

    def list(self) -> Sequence[WorkerRecord]:
        with self._store.read() as cursor:
            rows = self._list.all(cursor)
        return [
            WorkerRecord(*(*row, tuple(filter(None, queues.split(","))), supervisor, version))
            for *row, queues, supervisor, version in rows
        ]

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        if beats is None:
            removed = self._store.transact(lambda tx: self._delete.run(tx.cursor, worker))
        else:
            removed = self._store.transact(
                lambda tx: self._delete_still.run(tx.cursor, worker, beats)
            )
        return removed > 0
