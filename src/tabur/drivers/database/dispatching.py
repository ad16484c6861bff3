"""Bringing jobs into the tables, and the moves that people ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, or_, select, union_all

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.drivers.database.admission import Admission, KnownJob, is_bound
from tabur.drivers.database.bonds import Following
from tabur.drivers.database.callers import CallersTransaction
from tabur.drivers.database.returning import Returning
from tabur.drivers.database.rows import LOOKS, Rows, cancelled_row
from tabur.drivers.database.schema import (
    attachments,
    cursors,
    links,
    members,
    outcomes,
    progress,
    ready,
    records,
    uniques,
    waiting,
)
from tabur.drivers.database.selection import where
from tabur.drivers.database.statements import ONE, first
from tabur.drivers.database.store import Store, Transaction
from tabur.errors import ConfigError
from tabur.model.batches import NewBatch
from tabur.model.bonds import Bonds
from tabur.model.records import NewJob, bonds_in
from tabur.model.states import FINISHED

P = bindparam

#: Jobs removed or cancelled in one transaction, so that nobody waits long for its locks.
CHUNK = 500


class DatabaseDispatching:
    def __init__(
        self, store: Store, rows: Rows, following: Following, admission: Admission
    ) -> None:
        self._store = store
        self._rows = rows
        self._following = following
        self._admission = admission
        self._returning = Returning(store, rows, admission)
        self._sql = _Statements(store)
        self._callers = CallersTransaction(store)

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> Mapping[bytes, bytes]:
        now = self._store.now()
        try:
            if batches or is_bound(jobs):
                return self._dispatch_bound(jobs, batches, now)
            try:
                self._store.insert(jobs, now)
            except self._store.KnownId:
                # Somebody dispatches again: rare, so that only then each id is looked up.
                self._store.transact(lambda tx: self._insert_unknown(tx, jobs, now))
        except self._store.DataErrors as error:
            raise ConfigError(
                f"What was dispatched cannot be stored in {self._store}: {error}"
            ) from None
        return {}

    def dispatch_in(
        self,
        connection: Connection,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch] = (),
    ) -> Mapping[bytes, bytes]:
        if not self._store.is_same(connection):
            url = connection.engine.url.render_as_string(hide_password=True)
            raise ConfigError(
                f"session= is on {url}, and the queue is in {self._store}. A transaction "
                "cannot span both: point DATABASE_URL at the same database, or dispatch with "
                "after_commit=True."
            )
        holders = self._callers.dispatch(connection, jobs, batches, self._store.now())
        self._store.wake_on_commit(connection)
        return holders

    def cancel(self, job_id: bytes) -> CancelAnswer:
        return self._store.transact(lambda tx: self._cancel(tx, job_id))

    def retry(self, job_ids: Iterable[bytes]) -> int:
        ids = list(job_ids)
        return self._store.transact(lambda tx: sum(self._returning.retry(tx, each) for each in ids))

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
            chunk = self._store.transact(lambda tx: self._clear(tx, queue))
            cleared += chunk
            if chunk < CHUNK:
                return cleared

    def forget_these(self, ids: Sequence[bytes]) -> int:
        """Remove finished jobs in one transaction. Answers how many."""
        return self._store.transact(lambda tx: self._forget(tx.cursor, ids))

    def _dispatch_bound(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch], now: int
    ) -> Mapping[bytes, bytes]:
        if len(jobs) == 1 and not batches and self._is_in_at_once(jobs[0], now):
            return {}
        admit = partial(self._admit, jobs=jobs, batches=batches, now=now)
        for tried in range(LOOKS):
            # Somebody may dispatch again, and just now: only then ids are looked up.
            with suppress(self._store.KnownId, KnownJob):
                return self._store.transact(partial(admit, again=tried > 0))
        return self._store.transact(partial(admit, again=True))

    def _is_in_at_once(self, job: NewJob, now: int) -> bool:
        """Whether it has nothing but a unique key, and that was free."""
        bonds = job.bonds
        if bonds is None or bonds.unique is None or bonds != Bonds(unique=bonds.unique):
            return False
        with suppress(self._store.KnownId):
            return self._store.insert_unique(job, bonds.unique, now)
        return False

    # in one transaction

    def _admit(
        self,
        tx: Transaction,
        *,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch],
        now: int,
        again: bool,
    ) -> Mapping[bytes, bytes]:
        if again:
            jobs, batches = self._admission.unknown(tx.cursor, jobs, batches)
        admitted = self._admission.dispatch(tx.cursor, jobs, batches, now, put=self._store.bring_in)
        tx.woken = admitted.woken
        return admitted.holders

    def _insert_unknown(self, tx: Transaction, jobs: Sequence[NewJob], now: int) -> None:
        tx.woken = self._rows.insert_unknown(tx.cursor, jobs, now)

    def _cancel(self, tx: Transaction, job_id: bytes) -> CancelAnswer:
        if not self._rows.is_known(tx.cursor, job_id):
            return CancelAnswer.UNKNOWN
        now = self._store.now()
        match self._rows.cancel(tx.cursor, job_id, "Called back.", now):
            case True:
                tx.woken = self._following.all_cancelled(tx.cursor, [job_id], now)
                return CancelAnswer.CANCELLED
            case False:
                return CancelAnswer.CANCELLING
            case None:
                return CancelAnswer.FINISHED

    def _forget(self, cursor: Any, ids: Sequence[bytes]) -> int:
        finished = [each for each in ids if self._is_finished(self._ended(cursor, each))]
        self._untie(cursor, finished)
        for delete_from in self._sql.forget:
            delete_from.run(cursor, finished)
        return len(finished)

    def _untie(self, cursor: Any, ids: Sequence[bytes]) -> None:
        """Whoever waits for one that is gone does not wait for it; keys are left alone that outlast
        their jobs."""
        found = self._sql.options.all(cursor, ids)
        bound = [(job_id, each) for job_id, raw in found if (each := bonds_in(raw)) is not None]
        self._sql.unlink.many(
            cursor, [(target, job_id) for job_id, each in bound for target in each.next]
        )
        self._sql.leave.many(
            cursor, [(each.batch, job_id) for job_id, each in bound if each.batch is not None]
        )
        now = self._store.now()
        self._sql.drop_key.many(
            cursor, [(each.unique.key, job_id, now) for job_id, each in bound if each.unique]
        )

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

    def _clear(self, tx: Transaction, queue: str) -> int:
        cursor = tx.cursor
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
        tx.woken = self._following.all_cancelled(cursor, ids, now)
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
        self.forget = [
            *(
                store.keyed(delete(table), table.c.id)
                for table in (outcomes, progress, attachments, cursors, records)
            ),
            store.keyed(delete(links), links.c.target),
        ]
        self.options = store.keyed(select(records.c.id, records.c.options), records.c.id)
        self.unlink = store.prepare(
            delete(links).where(links.c.target == P("waits"), links.c.source == P("job")),
            *("waits", "job"),
        )
        self.leave = store.prepare(
            delete(members).where(members.c.batch == P("left"), members.c.job == P("leaves")),
            *("left", "leaves"),
        )
        u = uniques.c
        self.drop_key = store.prepare(
            delete(uniques).where(
                u.key == P("held"),
                u.job == P("holds"),
                or_(u.ends_at.is_(None), u.ends_at <= P("now")),
            ),
            *("held", "holds", "now"),
        )
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
