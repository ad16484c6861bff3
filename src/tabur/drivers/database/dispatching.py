"""Bringing jobs into the tables, and the moves that people ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, union_all, update

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.drivers.database.callers import CallersTransaction
from tabur.drivers.database.rows import Rows, cancelled_row
from tabur.drivers.database.schema import (
    attachments,
    cursors,
    outcomes,
    progress,
    ready,
    records,
    waiting,
)
from tabur.drivers.database.selection import where
from tabur.drivers.database.statements import ONE, first, literal
from tabur.drivers.database.store import Store, Transaction
from tabur.errors import ConfigError
from tabur.model.outcome import Ending
from tabur.model.records import NewJob
from tabur.model.states import FINISHED

P = bindparam

#: Jobs removed or cancelled in one transaction, so that nobody waits long for its locks.
CHUNK = 500


class DatabaseDispatching:
    def __init__(self, store: Store, rows: Rows) -> None:
        self._store = store
        self._rows = rows
        self._sql = _Statements(store)
        self._callers = CallersTransaction(store)

    def dispatch(self, jobs: Sequence[NewJob]) -> None:
        now = self._store.now()
        try:
            try:
                self._store.insert(jobs, now)
            except self._store.KnownId:
                # Somebody dispatches again: rare, so that only then each id is looked up.
                self._store.transact(lambda tx: self._insert_unknown(tx, jobs, now))
        except self._store.DataErrors as error:
            raise ConfigError(
                f"What was dispatched cannot be stored in {self._store}: {error}"
            ) from None

    def dispatch_in(self, connection: Connection, jobs: Sequence[NewJob]) -> None:
        if not self._store.is_same(connection):
            url = connection.engine.url.render_as_string(hide_password=True)
            raise ConfigError(
                f"session= is on {url}, and the queue is in {self._store}. A transaction "
                "cannot span both: point DATABASE_URL at the same database, or dispatch with "
                "after_commit=True."
            )
        self._callers.insert(connection, jobs, self._store.now())
        self._store.wake_on_commit(connection)

    def cancel(self, job_id: bytes) -> CancelAnswer:
        return self._store.transact(lambda tx: self._cancel(tx.cursor, job_id))

    def retry(self, job_ids: Iterable[bytes]) -> int:
        ids = list(job_ids)
        return self._store.transact(lambda tx: sum(self._retry(tx, each) for each in ids))

    def forget(self, which: Filter) -> int:
        if not FINISHED.issuperset(which.states):
            raise ConfigError("Only finished jobs can be forgotten.")
        condition, values = where(which)
        endings = ", ".join(f"'{state.value}'" for state in sorted(which.states or FINISHED))
        query = _FINISHED.format(endings=endings, condition=condition)
        finished = self._store.prepare(query, *values)
        forgotten = 0
        while True:
            with self._store.read_anew() as cursor:
                ids = [row[0] for row in finished.all(cursor, *values.values())]
            gone = self.forget_these(ids)
            forgotten += gone
            if len(ids) < CHUNK or not gone:
                return forgotten

    def forget_one(self, job_id: bytes) -> bool:
        return self.forget_these([job_id]) == 1

    def clear(self, queue: str) -> int:
        cleared = 0
        while True:
            chunk = self._store.transact(lambda tx: self._clear(tx.cursor, queue))
            cleared += chunk
            if chunk < CHUNK:
                return cleared

    def forget_these(self, ids: Sequence[bytes]) -> int:
        """Remove finished jobs in one transaction. Answers how many."""
        return self._store.transact(lambda tx: self._forget(tx.cursor, ids))

    # in one transaction

    def _insert_unknown(self, tx: Transaction, jobs: Sequence[NewJob], now: int) -> None:
        tx.woken = self._rows.insert_unknown(tx.cursor, jobs, now)

    def _cancel(self, cursor: Any, job_id: bytes) -> CancelAnswer:
        if not self._rows.is_known(cursor, job_id):
            return CancelAnswer.UNKNOWN
        match self._rows.cancel(cursor, job_id, "Called back.", self._store.now()):
            case True:
                return CancelAnswer.CANCELLED
            case False:
                return CancelAnswer.CANCELLING
            case None:
                return CancelAnswer.FINISHED

    def _retry(self, tx: Transaction, job_id: bytes) -> bool:
        ended = self._ended(tx.cursor, job_id)
        if ended is None or ended[1] not in (Ending.FAILED, Ending.CANCELLED):
            return False
        place = self._rows.place.one(tx.cursor, job_id)
        assert place is not None, "an ended job without its record"
        self._sql.retried.run(tx.cursor, ended[0])
        self._rows.delete_progress.run(tx.cursor, job_id)
        self._rows.insert_ready.run(tx.cursor, job_id, *place, 0, 0, 0)
        tx.woken = True
        return True

    def _forget(self, cursor: Any, ids: Sequence[bytes]) -> int:
        finished = [each for each in ids if self._is_finished(self._ended(cursor, each))]
        for delete_from in self._sql.forget:
            delete_from.run(cursor, finished)
        return len(finished)

    def _ended(self, cursor: Any, job_id: bytes) -> tuple[int, str] | None:
        """The last outcome of a job that stands in neither of the tables of work; locked, so that
        of two who would move it on only one does."""
        last = self._sql.last.one(cursor, job_id)
        if last is None or self._sql.unfinished.one(cursor, job_id, job_id) is not None:
            return None
        seq, ending = last
        return seq, ending

    def _is_finished(self, ended: tuple[int, str] | None) -> bool:
        return ended is not None and ended[1] in FINISHED

    def _clear(self, cursor: Any, queue: str) -> int:
        found = [
            *self._sql.pending.all(cursor, queue, CHUNK),
            *self._sql.waiting.all(cursor, queue, CHUNK),
        ][:CHUNK]
        ids = [job_id for job_id, _ in found]
        self._sql.undo_ready.run(cursor, ids)
        self._sql.undo_waiting.run(cursor, ids)
        now = self._store.now()
        reason = "The queue was cleared."
        self._rows.insert_outcome.many(
            cursor, [cancelled_row(each, reason, attempts=n, now=now) for each, n in found]
        )
        return len(found)


_FINISHED = f"""
    SELECT o.id FROM job_outcomes o JOIN job_records r ON r.id = o.id
     WHERE o.ending IN ({{endings}}) AND {{condition}}
     ORDER BY o.seq LIMIT {CHUNK}
"""


class _Statements:
    """The statements of people's moves, compiled once."""

    def __init__(self, store: Store) -> None:
        o, y, w = outcomes.c, ready.c, waiting.c
        self.last = store.prepare(
            first(
                select(o.seq, o.ending).where(o.id == P("job")).order_by(o.seq.desc()), ONE
            ).with_for_update(),
            "job",
        )
        self.unfinished = store.prepare(
            union_all(select(y.id).where(y.id == P("job")), select(w.id).where(w.id == P("same"))),
            "job",
            "same",
        )
        self.retried = store.prepare(
            update(outcomes).where(o.seq == P("row")).values(ending=literal(Ending.RETRIED)), "row"
        )
        self.forget = [
            store.keyed(delete(table), table.c.id)
            for table in (outcomes, progress, attachments, cursors, records)
        ]
        self.pending = store.prepare(
            first(
                select(y.id, y.attempts).where(
                    y.queue == P("which"), y.token.is_(None), y.worker.is_(None)
                ),
                P("n"),
            ).with_for_update(skip_locked=True),
            "which",
            "n",
        )
        self.waiting = store.prepare(
            first(select(w.id, w.attempts).where(w.queue == P("which")), P("n")).with_for_update(
                skip_locked=True
            ),
            "which",
            "n",
        )
        self.undo_ready = store.keyed(delete(ready), y.id)
        self.undo_waiting = store.keyed(delete(waiting), w.id)
