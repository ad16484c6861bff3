"""Taking jobs out, to bring them into another store.

A job that is taken out stands in `job_waiting` with its blockers below zero: nothing unblocks,
promotes or claims it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, exists, literal_column, select, update

from tabur.drivers.contract import Rewrite
from tabur.drivers.database.rewriting import Rewriting
from tabur.drivers.database.rows import RECORD, WAIT, WORK, Rows
from tabur.drivers.database.schema import (
    attachments,
    cursors,
    links,
    outcomes,
    progress,
    ready,
    records,
    waiting,
)
from tabur.drivers.database.statements import ZERO, Row, first
from tabur.drivers.database.store import Store, Transaction, Words
from tabur.model.records import NewJob
from tabur.model.states import Isolation

P = bindparam

_OUT: ColumnElement[int] = literal_column("-1")


class DatabaseTransfer:
    def __init__(self, store: Store, rows: Rows) -> None:
        self._store = store
        self._rows = rows
        self._rewriting = Rewriting(store)
        self._sql = _Statements(store)

    def take_out(self, queue: str | None, *, limit: int) -> Sequence[NewJob]:
        return self._store.transact(lambda tx: self._take_out(tx.cursor, queue, limit))

    def taken_out(self) -> Sequence[NewJob]:
        with self._store.read() as cursor:
            return [_job(row) for row in self._sql.out.all(cursor)]

    def gone(self, job_ids: Sequence[bytes]) -> None:
        def remove(cursor: Any) -> None:
            out = [each for each in job_ids if self._sql.is_out.one(cursor, each)]
            for delete_from in self._sql.remove:
                delete_from.run(cursor, out)

        self._store.transact(lambda tx: remove(tx.cursor))

    def put_back(self, job_ids: Sequence[bytes]) -> None:
        def put_back(tx: Transaction) -> None:
            for job_id in job_ids:
                row = self._sql.is_out.one(tx.cursor, job_id)
                if row is not None and row[-2] is None:
                    self._rows.delete_waiting.run(tx.cursor, job_id)
                    self._rows.insert_ready.run(tx.cursor, *row[: len(WORK)])
                    tx.woken = True
                elif row is not None:
                    self._sql.wait_again.run(tx.cursor, job_id)

        self._store.transact(put_back)

    def rewrite(self, changes: Sequence[Rewrite]) -> int:
        return self._rewriting.rewrite(changes)

    def _take_out(self, cursor: Any, queue: str | None, limit: int) -> Sequence[NewJob]:
        pending = self._sql.pending(cursor, queue, limit)
        self._sql.undo_ready.run(cursor, [row[0] for row in pending])
        self._rows.insert_waiting.many(cursor, [(*row, None, -1) for row in pending])
        scheduled = self._sql.scheduled(cursor, queue, limit - len(pending))
        self._sql.stand_still.run(cursor, [row[0] for row in scheduled])
        taken = [row[0] for row in (*pending, *scheduled)]
        found = [self._sql.out_one.one(cursor, job_id) for job_id in taken]
        return [_job(row) for row in found if row is not None]


class _Statements:
    """The statements of moving, compiled once."""

    def __init__(self, store: Store) -> None:
        y, w, r = ready.c, waiting.c, records.c
        ready_work = select(*(y[name] for name in WORK)).where(
            y.token.is_(None),
            y.worker.is_(None),
            _has_no_cursor(y.id),
            _is_unbound(y.id, store.words),
        )
        waiting_work = select(*(w[name] for name in WORK)).where(
            w.blockers == ZERO, _has_no_cursor(w.id), _is_unbound(w.id, store.words)
        )

        def taking(statement: Any, table: Any, *order: Any) -> Any:
            def locked(each: Any, *given: str) -> Any:
                ordered = first(each.order_by(*order), P("n")).with_for_update(skip_locked=True)
                return store.prepare(ordered, *given, "n")

            of_all = locked(statement)
            of_one = locked(statement.where(table.c.queue == P("which")), "which")

            def take(cursor: Any, queue: str | None, limit: int) -> Sequence[Row]:
                if queue is None:
                    return of_all.all(cursor, limit)  # type: ignore[no-any-return]  # Prepared
                return of_one.all(cursor, queue, limit)  # type: ignore[no-any-return]  # Prepared

            return take

        # In the order of the index that claims read: no chunk reads what the others take.
        self.pending = taking(ready_work, ready, y.queue, y.isolation, y.rank, y.seq)
        self.scheduled = taking(waiting_work, waiting, w.id)
        self.undo_ready = store.keyed(delete(ready), y.id)
        self.stand_still = store.keyed(update(waiting).values(blockers=_OUT), w.id)
        self.is_out = store.prepare(
            select(*(w[name] for name in WAIT))
            .where(w.id == P("job"), w.blockers < ZERO)
            .with_for_update(),
            "job",
        )
        self.wait_again = store.prepare(
            update(waiting).where(w.id == P("job")).values(blockers=ZERO), "job"
        )
        whole = select(
            *(r[name] for name in RECORD),
            w.isolation,
            w.attempts,
            w.exceptions,
            w.crashes,
            w.due_at,
        ).join_from(waiting, records, w.id == r.id)
        out = whole.where(w.blockers < ZERO)
        self.out = store.prepare(first(out.order_by(w.id), literal_column("1000")))
        self.out_one = store.prepare(out.where(w.id == P("job")), "job")
        self.remove = [
            *(
                store.keyed(delete(table), table.c.id)
                for table in (waiting, outcomes, progress, attachments, records)
            ),
            store.keyed(delete(links), links.c.target),
        ]


def _has_no_cursor(job_id: ColumnElement[bytes]) -> ColumnElement[bool]:
    return ~exists().where(cursors.c.id == job_id)


def _is_unbound(job_id: ColumnElement[bytes], words: Words) -> ColumnElement[bool]:
    """By what stands in the options, as `bonds_in` looks there."""
    options = words.text_of.format("job_records.options")
    ties: ColumnElement[bool] = literal_column(f"{options} LIKE '%\"bonds\":%'")
    bound = select(records.c.id).where(records.c.id == job_id, ties)
    # A value and no join: for a few rows an engine would begin with all records.
    return bound.scalar_subquery().is_(None)


def _job(row: Row) -> NewJob:
    """The job as it would be dispatched into another store."""
    (
        job_id,
        name,
        queue,
        rank,
        _,
        payload,
        options,
        tenant,
        user,
        locale,
        created_at,
        isolation,
        attempts,
        exceptions,
        crashes,
        due_at,
    ) = row
    return NewJob(
        id=job_id,
        name=name,
        queue=queue,
        isolation=Isolation(isolation),
        payload=payload,
        created_at=created_at,
        priority=-rank,
        due_at=due_at,
        options=options,
        tenant=tenant,
        user=user,
        locale=locale,
        attempts=attempts,
        exceptions=exceptions,
        crashes=crashes,
    )
