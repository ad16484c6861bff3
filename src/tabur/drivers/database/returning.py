"""Jobs that are to run again, and what comes back with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, func, or_, select, update

from tabur.drivers.database.admission import Admission
from tabur.drivers.database.batch_rows import BATCH, batch_record, counts_row, write_counts
from tabur.drivers.database.rows import Rows
from tabur.drivers.database.schema import (
    batches,
    links,
    outcomes,
    progress,
    ready,
    records,
    waiting,
)
from tabur.drivers.database.statements import ONE, ZERO, first, literal
from tabur.drivers.database.store import Store, Transaction
from tabur.model.batches import tried_again
from tabur.model.bonds import Bonds
from tabur.model.outcome import Ending
from tabur.model.records import bonds_in

P = bindparam


class _Ended(NamedTuple):
    """A job that has ended, as it may come back."""

    id: bytes
    seq: int
    """Of its last outcome."""
    ending: str
    place: tuple[str, str, int]
    """Queue, isolation and rank."""
    bonds: Bonds | None


class Returning:
    def __init__(self, store: Store, rows: Rows, admission: Admission) -> None:
        self._store = store
        self._rows = rows
        self._admission = admission
        self._sql = _Statements(store)

    def retry(self, tx: Transaction, job_id: bytes) -> bool:
        """Let one that has failed or was cancelled run again, and with it what was cancelled for
        that. False where it is in another state, or its unique key another one's."""
        job = self._ended(tx.cursor, job_id)
        if job is None or job.ending not in (Ending.FAILED, Ending.CANCELLED):
            return False
        if not self._has_its_key(tx.cursor, job):
            return False
        back = [job, *self._waited_for(tx.cursor, job)]
        ids = [each.id for each in back]
        blockers = self._block(tx.cursor, back, ids)
        self._sql.retried.run(tx.cursor, [each.seq for each in back])
        self._sql.delete_progress.run(tx.cursor, ids)
        for each in back:
            row = (each.id, *each.place, 0, 0, 0)
            if blockers[each.id]:
                self._rows.insert_waiting.run(tx.cursor, *row, None, blockers[each.id])
            else:
                self._rows.insert_ready.run(tx.cursor, *row)
                tx.woken = True
        return True

    def _ended(self, cursor: Any, job_id: bytes) -> _Ended | None:
        """Its last outcome is locked, so that of two who would move it on only one does."""
        last = self._sql.last.one(cursor, job_id)
        if last is None:
            return None
        found = self._sql.ended.all(cursor, [job_id])
        return _read(found[0]) if found else None

    def _has_its_key(self, cursor: Any, job: _Ended) -> bool:
        """Whether its unique key is its own or free; then it is its own."""
        unique = job.bonds.unique if job.bonds else None
        return unique is None or self._admission.take_back(
            cursor, job.id, unique, self._store.now()
        )

    def _waited_for(self, cursor: Any, job: _Ended) -> list[_Ended]:
        """What waited for it, directly or by way of others, and was cancelled before it began."""
        found: dict[bytes, _Ended] = {}
        targets = self._targets(cursor, [job])
        while targets:
            wave = [
                _read(row)
                for row in self._sql.ended.all(cursor, sorted(targets))
                if row[2] == Ending.CANCELLED and not row[-1]
            ]
            wave = [each for each in wave if self._has_its_key(cursor, each)]
            found.update((each.id, each) for each in wave)
            targets = self._targets(cursor, wave) - found.keys() - {job.id}
        return list(found.values())

    def _targets(self, cursor: Any, jobs: Iterable[_Ended]) -> set[bytes]:
        bonds = [each.bonds for each in jobs if each.bonds is not None]
        targets = {target for each in bonds for target in each.next}
        ids = {each.batch for each in bonds if each.batch is not None}
        for row in self._sql.batches.all(cursor, sorted(ids)):
            targets.update(batch_record(row).next)
        return targets

    def _block(self, cursor: Any, back: Sequence[_Ended], ids: Sequence[bytes]) -> Counter[bytes]:
        """Answers by how many each is blocked. Whoever ends one of those that they wait for waits
        from here on, and finds them blocked then."""
        sources = {row[0] for row in self._sql.sources.all(cursor, ids)}
        if sources:
            self._sql.lock_waiting.all(cursor, ids)
            self._sql.lock_ready.all(cursor, ids)
        self._reopen(cursor, back, sources)
        found = self._sql.blockers.all(cursor, ids) if sources else ()
        return Counter(row[0] for row in found)

    def _reopen(self, cursor: Any, back: Sequence[_Ended], sources: set[bytes]) -> None:
        """Their batches have not finished any more. Locked with those that they wait for."""
        failed: Counter[bytes] = Counter()
        cancelled: Counter[bytes] = Counter()
        for each in back:
            if each.bonds is not None and each.bonds.batch is not None:
                by = failed if each.ending == Ending.FAILED else cancelled
                by[each.bonds.batch] += 1
        locked = self._sql.lock_batches.all(
            cursor, sorted(sources | failed.keys() | cancelled.keys())
        )
        for row in locked:
            batch = batch_record(row)
            if not (failed[batch.id] or cancelled[batch.id]):
                continue
            after = tried_again(batch, failed=failed[batch.id], cancelled=cancelled[batch.id])
            self._sql.reopened.run(cursor, *counts_row(after))


def _read(row: Sequence[Any]) -> _Ended:
    job_id, seq, ending, queue, isolation, rank, options, _ = row
    return _Ended(job_id, seq, ending, (queue, isolation, rank), bonds_in(options))


class _Statements:
    def __init__(self, store: Store) -> None:
        b, o, r, y, w, tie = batches.c, outcomes.c, records.c, ready.c, waiting.c, links.c
        self.last = store.prepare(
            first(
                select(o.seq).where(o.id == P("job")).order_by(o.seq.desc()), ONE
            ).with_for_update(),
            "job",
        )
        newer = outcomes.alias("n")
        last_of = select(func.max(newer.c.seq)).where(newer.c.id == r.id).scalar_subquery()
        self.ended = store.keyed(
            select(r.id, o.seq, o.ending, r.queue, r.isolation, r.rank, r.options, o.attempt)
            .join_from(records, outcomes, o.seq == last_of)
            .where(~exists().where(y.id == r.id), ~exists().where(w.id == r.id)),
            r.id,
        )
        self.batches = store.keyed(select(*(b[name] for name in BATCH)), b.id)
        self.sources = store.keyed(select(tie.source), tie.target)
        # Waiting rows first: what is promoted between the two stands in the second.
        self.lock_waiting = store.keyed(
            select(w.id).join_from(links, waiting, w.id == tie.source).with_for_update(of=waiting),
            tie.target,
        )
        self.lock_ready = store.keyed(
            select(y.id).join_from(links, ready, y.id == tie.source).with_for_update(of=ready),
            tie.target,
        )
        self.lock_batches = store.keyed(
            select(*(b[name] for name in BATCH)).with_for_update(), b.id
        )
        self.reopened = write_counts(store)
        newest = outcomes.alias("l")
        ending = (
            select(newest.c.ending)
            .where(newest.c.id == r.id)
            .order_by(newest.c.seq.desc())
            .limit(ONE)
            .offset(ZERO)
            .scalar_subquery()
        )
        undone = or_(
            and_(
                b.id.is_not(None),
                or_(b.finished_at.is_(None), b.failed_jobs > ZERO, b.cancelled_jobs > ZERO),
            ),
            # Without any outcome it has not ended.
            and_(
                b.id.is_(None),
                r.id.is_not(None),
                func.coalesce(ending, literal("")) != literal(Ending.COMPLETED),
            ),
        )
        self.blockers = store.keyed(
            select(tie.target)
            .select_from(
                links.outerjoin(batches, b.id == tie.source).outerjoin(records, r.id == tie.source)
            )
            .where(undone),
            tie.target,
        )
        self.retried = store.keyed(update(outcomes).values(ending=literal(Ending.RETRIED)), o.seq)
        self.delete_progress = store.keyed(delete(progress), progress.c.id)
