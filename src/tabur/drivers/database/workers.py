"""Who works, and the signals to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from tabur.drivers.database.rows import names
from tabur.drivers.database.schema import signals, workers
from tabur.drivers.database.statements import ONE, literal
from tabur.drivers.database.store import Store
from tabur.model.records import WorkerRecord

P = bindparam


class DatabaseWorkers:
    def __init__(self, store: Store) -> None:
        self._store = store
        w, s = workers.c, signals.c
        self._delete = store.prepare(delete(workers).where(w.id == P("who")), "who")
        self._insert = store.prepare(insert(workers), *names(workers))
        self._beat = store.keyed(update(workers).values(beats=w.beats + ONE), w.id)
        self._list = store.prepare(
            select(w.id, w.host, w.pid, w.started_at, w.beats, w.queues, w.supervisor).order_by(
                w.started_at, w.id
            )
        )
        restart = s.name == literal("restart")
        self._count_up = store.prepare(update(signals).where(restart).values(value=s.value + ONE))
        self._epoch = store.prepare(select(s.value).where(restart))

    def register(self, worker: WorkerRecord) -> None:
        row = (
            worker.id,
            worker.supervisor,
            worker.host,
            worker.pid,
            ",".join(worker.queues),
            worker.started_at,
            worker.beats,
        )

        def register(cursor: Any) -> None:
            self._delete.run(cursor, worker.id)
            self._insert.run(cursor, *row)

        self._store.transact(lambda tx: register(tx.cursor))

    def beat(self, workers: Sequence[str]) -> None:
        self._store.alone(lambda cursor: self._beat.run(cursor, workers))

    def list(self) -> Sequence[WorkerRecord]:
        with self._store.read() as cursor:
            rows = self._list.all(cursor)
        return [
            WorkerRecord(*(*row, tuple(filter(None, queues.split(","))), supervisor))
            for *row, queues, supervisor in rows
        ]

    def remove(self, worker: str) -> None:
        self._store.transact(lambda tx: self._delete.run(tx.cursor, worker))

    def restart(self) -> int:
        def restart(cursor: Any) -> int:
            self._count_up.run(cursor)
            return self._value(cursor)

        return self._store.transact(lambda tx: restart(tx.cursor))

    def epoch(self) -> int:
        with self._store.read() as cursor:
            return self._value(cursor)

    def _value(self, cursor: Any) -> int:
        row = self._epoch.one(cursor)
        return row[0] if row else 0
