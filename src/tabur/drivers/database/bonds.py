"""What follows where jobs have ended: for those that wait for them, for their batches and for their
unique keys.

Everything is locked in one order: unique keys, rows of jobs, and batches last, since all who settle
jobs of one batch wait for its row until the commit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, delete, select, update

from tabur.drivers.database.batch_rows import BATCH, batch_record, counts_row, write_counts
from tabur.drivers.database.rows import WORK, Rows, Source, cancelled_row
from tabur.drivers.database.schema import batches, ready, records, uniques, waiting
from tabur.drivers.database.statements import ZERO
from tabur.model.batches import DEPENDENCY, UNFINISHED, Ends, Follows, ended
from tabur.model.bonds import Bonds
from tabur.model.outcome import Transition
from tabur.model.records import bonds_in
from tabur.model.states import FINISHED, State

P = bindparam


class End(NamedTuple):
    """A job with bonds that has ended for good."""

    id: bytes
    to: State
    bonds: Bonds


class Counts:
    """Ends of jobs that their batches do not count yet."""

    def __init__(self) -> None:
        self._by_batch: defaultdict[bytes, Counter[State]] = defaultdict(Counter)

    def add(self, ends: Iterable[End]) -> None:
        for _, to, bonds in ends:
            if bonds.batch is not None:
                self._by_batch[bonds.batch][to] += 1

    def touch(self, batch_id: bytes) -> None:
        """Look whether it has finished, though none of its jobs has ended."""
        self._by_batch[batch_id].update()

    def pop(self) -> tuple[bytes, Ends] | None:
        """The batch with the lowest id: one order for all who count."""
        if not self._by_batch:
            return None
        batch_id = min(self._by_batch)
        by = self._by_batch.pop(batch_id)
        return batch_id, Ends(by[State.COMPLETED], by[State.FAILED], by[State.CANCELLED])


class Following:
    """On whatever cursor it is given. A long chain is walked and not recursed into: Python's stack
    is shorter."""

    def __init__(self, source: Source, rows: Rows) -> None:
        self._rows = rows
        self._sql = _Statements(source)

    def lock_keys(self, cursor: Any, moves: Iterable[Transition]) -> None:
        """Before rows of jobs are locked that may hold unique keys: who replaces such a job locks
        the key first."""
        keys = [move.bonds.unique.key for move in moves if move.bonds and move.bonds.unique]
        self._sql.lock_keys.all(cursor, sorted(keys))

    def settled(self, cursor: Any, moves: Iterable[Transition], now: int, counts: Counts) -> bool:
        """What hangs on single jobs that were settled; their batches are left to `count`. Answers,
        as the others, whether something may be claimed at once."""
        ends = [
            End(move.id, move.to, move.bonds)
            for move in moves
            if move.bonds and move.to in FINISHED
        ]
        return bool(ends) and self._follow(cursor, ends, now, counts)

    def cancelled(self, cursor: Any, job_ids: Sequence[bytes], now: int, counts: Counts) -> bool:
        """As `settled`, of jobs that the store itself has cancelled."""
        found = self._sql.options.all(cursor, job_ids)
        ends = [
            End(job_id, State.CANCELLED, bonds)
            for job_id, options in found
            if (bonds := bonds_in(options))
        ]
        return bool(ends) and self._follow(cursor, ends, now, counts)

    def all_cancelled(self, cursor: Any, job_ids: Sequence[bytes], now: int) -> bool:
        """As `cancelled`, and their batches are counted: the end of a transaction."""
        counts = Counts()
        woken = self.cancelled(cursor, job_ids, now, counts)
        return self.count(cursor, counts, now) or woken

    def begun(self, cursor: Any, claims: Iterable[tuple[bytes, bytes]]) -> None:
        """Give back the keys of jobs that hold one until they begin. (Their claims are looked at
        and not locked: keys come first.)"""
        tokens = dict(claims)
        for job_id, options in self._sql.options.all(cursor, sorted(tokens)):
            bonds = bonds_in(options)
            if bonds is not None and bonds.unique is not None and bonds.unique.until_start:
                self._sql.free_begun.run(cursor, bonds.unique.key, job_id, job_id, tokens[job_id])

    def cancel_blocked(
        self, cursor: Any, job_ids: Iterable[bytes], reason: str, now: int, counts: Counts
    ) -> None:
        """Cancel those that are still blocked, and what waits for them."""
        gone: list[Any] = []
        ends: dict[bytes, End] = {}
        targets = set(job_ids)
        while targets:
            targets.difference_update(row[0] for row in gone)
            found = self._sql.blocked.all(cursor, sorted(targets))
            targets = set()
            for job_id, blockers, attempts, options in found:
                if blockers <= 0:
                    continue
                gone.append(cancelled_row(job_id, reason, attempts=attempts, now=now))
                bonds = bonds_in(options)
                if bonds is not None:
                    ends[job_id] = End(job_id, State.CANCELLED, bonds)
                    targets.update(bonds.next)
            reason = DEPENDENCY
        self._sql.delete_waiting.run(cursor, [row[0] for row in gone])
        self._rows.insert_outcome.many(cursor, gone)
        self._free(cursor, ends.values())
        counts.add(ends.values())

    def count(self, cursor: Any, counts: Counts, now: int) -> bool:
        """Count what has ended, and do what follows for who waits for whole batches. Last in its
        transaction."""
        woken = False
        while (popped := counts.pop()) is not None:
            batch_id, ends = popped
            if self._goes_on(cursor, batch_id, ends):
                continue
            follows = self._counted(cursor, batch_id, ends, now)
            woken |= self._unblock(cursor, Counter(follows.unblock), now)
            self.cancel_blocked(cursor, follows.cancel, UNFINISHED, now, counts)
        return woken

    def _follow(self, cursor: Any, ends: Sequence[End], now: int, counts: Counts) -> bool:
        done: Counter[bytes] = Counter()
        undone: set[bytes] = set()
        for _, to, bonds in ends:
            if not bonds.next:
                continue
            if to is State.COMPLETED:
                done.update(bonds.next)
            else:
                undone.update(bonds.next)
        self._free(cursor, ends)
        woken = self._unblock(cursor, done, now)
        self.cancel_blocked(cursor, undone, DEPENDENCY, now, counts)
        counts.add(ends)
        return woken

    def _unblock(self, cursor: Any, targets: Counter[bytes], now: int) -> bool:
        """Each has so many blockers less."""
        for times in sorted(set(targets.values())):
            ids = sorted(each for each in targets if targets[each] == times)
            self._sql.unblock.run(cursor, ids, times, times)
        free = sorted(
            tuple(row)
            for *row, due_at, blockers in self._sql.unblocked.all(cursor, sorted(targets))
            if blockers == 0 and (due_at is None or due_at <= now)
        )
        self._sql.delete_waiting.run(cursor, [row[0] for row in free])
        self._rows.insert_ready.many(cursor, free)
        return bool(free)

    def _free(self, cursor: Any, ends: Iterable[End]) -> None:
        """Give back the unique keys of jobs that still hold them."""
        held = [
            (each.bonds.unique.key, each.id)
            for each in ends
            if each.bonds.unique is not None and each.bonds.unique.window is None
        ]
        self._sql.free.many(cursor, held)

    def _goes_on(self, cursor: Any, batch_id: bytes, ends: Ends) -> bool:
        """Count completions after which a batch has not finished, so that nothing follows: in one
        statement, for others wait for its row."""
        done = ends.completed
        if ends != Ends(completed=done):
            return False
        return self._sql.progressed.run(cursor, done, batch_id, done) == 1

    def _counted(self, cursor: Any, batch_id: bytes, ends: Ends, now: int) -> Follows:
        row = self._sql.batch.one(cursor, batch_id)
        if row is None:  # pruned
            return Follows()
        after, follows = ended(batch_record(row), ends, now)
        self._sql.counted.run(cursor, *counts_row(after))
        return follows


class _Statements:
    """Rows that wait are found by their ids alone, and judged once they are read: else an engine
    may go by how many blockers they have, and lock them all."""

    def __init__(self, source: Source) -> None:
        b, w, r, u = batches.c, waiting.c, records.c, uniques.c
        self.lock_keys = source.keyed(select(u.key).with_for_update(), u.key)
        self.free = source.prepare(
            delete(uniques).where(u.key == P("held"), u.job == P("job_id")), "held", "job_id"
        )
        claimed = select(ready.c.seq).where(ready.c.id == P("claimed"), ready.c.token == P("token"))
        self.free_begun = source.prepare(
            delete(uniques).where(u.key == P("held"), u.job == P("job_id"), claimed.exists()),
            *("held", "job_id", "claimed", "token"),
        )
        self.options = source.keyed(select(r.id, r.options), r.id)
        self.blocked = source.keyed(
            select(w.id, w.blockers, w.attempts, r.options)
            .join_from(waiting, records, w.id == r.id)
            .with_for_update(of=waiting),
            w.id,
        )
        self.delete_waiting = source.keyed(delete(waiting), w.id)
        self.unblock = source.keyed(
            update(waiting).values(
                blockers=case(
                    (w.blockers > P("n"), w.blockers - P("n")),
                    (w.blockers > ZERO, ZERO),
                    else_=w.blockers,
                )
            ),
            w.id,
            *("n", "n"),
        )
        self.unblocked = source.keyed(
            select(*(w[name] for name in WORK), w.due_at, w.blockers).with_for_update(), w.id
        )
        self.progressed = source.prepare(
            update(batches)
            .where(b.id == P("batch"), b.pending_jobs > P("most"))
            .values(pending_jobs=b.pending_jobs - P("done")),
            *("done", "batch", "most"),
        )
        self.batch = source.prepare(
            select(*(b[name] for name in BATCH)).where(b.id == P("batch")).with_for_update(),
            "batch",
        )
        self.counted = write_counts(source)
