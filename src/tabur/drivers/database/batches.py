"""Batches, for who looks at them and cancels them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import bindparam, delete, select, update

from tabur.drivers.database.batch_rows import BATCH, batch_record
from tabur.drivers.database.bonds import Counts, Following
from tabur.drivers.database.schema import batches, links
from tabur.drivers.database.statements import Prepared, first
from tabur.drivers.database.store import Store, Transaction
from tabur.model.batches import UNFINISHED, BatchRecord

P = bindparam

_LAST = b"\xff" * 16
#: Batches removed in one transaction.
CHUNK = 100


class DatabaseBatches:
    def __init__(self, store: Store, following: Following) -> None:
        self._store = store
        self._following = following
        self._sql = _Statements(store)

    def find(self, batch_id: bytes) -> BatchRecord | None:
        with self._store.read() as cursor:
            row = self._sql.find.one(cursor, batch_id)
        return None if row is None else batch_record(row)

    def list(self, *, limit: int, after: bytes | None = None) -> Sequence[BatchRecord]:
        with self._store.read() as cursor:
            rows = self._sql.page.all(cursor, _LAST if after is None else after, limit)
        return [batch_record(row) for row in rows]

    def cancel(self, batch_id: bytes) -> bool:
        now = self._store.now()
        return self._store.alone(lambda cursor: self._sql.cancel.run(cursor, now, batch_id)) == 1

    def cancelled(self, batch_ids: Sequence[bytes]) -> frozenset[bytes]:
        with self._store.read() as cursor:
            return frozenset(row[0] for row in self._sql.cancelled.all(cursor, batch_ids))

    def prune(self, *, before: int, unfinished: bool = False, limit: int) -> int:
        old = self._sql.unfinished if unfinished else self._sql.finished
        pruned = 0
        while pruned < limit:
            count = min(CHUNK, limit - pruned)
            gone = self._store.transact(partial(self._prune, before=before, limit=count, old=old))
            pruned += gone
            if gone < count:
                break
        return pruned

    def _prune(self, tx: Transaction, *, before: int, limit: int, old: Prepared) -> int:
        gone = [batch_record(row) for row in old.all(tx.cursor, before, limit)]
        self._sql.delete.run(tx.cursor, [each.id for each in gone])
        self._sql.unlink.many(
            tx.cursor, [(target, each.id) for each in gone for target in each.next]
        )
        waiting = {
            job
            for each in gone
            if each.finished_at is None
            for job in (*each.next, *each.catch, *each.finally_)
        }
        now, counts = self._store.now(), Counts()
        self._following.cancel_blocked(tx.cursor, waiting, UNFINISHED, now, counts)
        tx.woken = self._following.count(tx.cursor, counts, now)
        return len(gone)


class _Statements:
    def __init__(self, store: Store) -> None:
        b, tie = batches.c, links.c
        whole = select(*(b[name] for name in BATCH))
        self.find = store.prepare(whole.where(b.id == P("batch")), "batch")
        self.page = store.prepare(
            first(whole.where(b.id < P("place")).order_by(b.id.desc()), P("n")), "place", "n"
        )
        self.cancel = store.prepare(
            update(batches)
            .where(b.id == P("batch"), b.finished_at.is_(None), b.cancelled_at.is_(None))
            .values(cancelled_at=P("now")),
            *("now", "batch"),
        )
        self.cancelled = store.keyed(select(b.id).where(b.cancelled_at.is_not(None)), b.id)
        old = whole.where(b.finished_at < P("before")).order_by(b.finished_at, b.created_at)
        # The index yields them in order, by which no two engines find it.
        hanging = whole.where(b.finished_at.is_(None), b.created_at < P("before"))
        self.finished, self.unfinished = (
            store.prepare(first(each, P("n")).with_for_update(skip_locked=True), *("before", "n"))
            for each in (old, hanging)
        )
        self.delete = store.keyed(delete(batches), b.id)
        self.unlink = store.prepare(
            delete(links).where(tie.target == P("waits"), tie.source == P("batch")),
            "waits",
            "batch",
        )
