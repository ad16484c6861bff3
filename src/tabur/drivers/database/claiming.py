"""A worker's turn: settle what has ended and claim what is free, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any

from msgspec.structs import replace
from sqlalchemy import bindparam, delete, insert, null, select, update

from tabur.drivers.contract import Exchange, Exchanged
from tabur.drivers.database.bonds import Counts, Following
from tabur.drivers.database.rows import WORK, Rows, crashed_row, names
from tabur.drivers.database.schema import attachments, outcomes, ready, waiting
from tabur.drivers.database.statements import ONE, ZERO, Row, first, literal
from tabur.drivers.database.store import Store, Transaction
from tabur.model.outcome import CALLED_BACK, Settled, Transition, called_back, unstorable
from tabur.model.records import Attachment, ClaimedJob, Crash
from tabur.model.states import FINISHED, Isolation, State

P = bindparam

#: Due jobs promoted in one turn, and batches counted in one statement.
PROMOTED_AT_ONCE, BATCHES_AT_ONCE = 500, 4


class DatabaseClaiming:
    def __init__(self, store: Store, rows: Rows, following: Following) -> None:
        self._store = store
        self._rows = rows
        self._following = following
        self._hot = store.hot
        self._sql = _Statements(store)
        self._once_more: tuple[type[Exception], ...] = (_NotPlain, *store.DataErrors)

    def exchange(self, turn: Exchange) -> Exchanged:
        now = self._store.now()
        answer = self._at_once(turn, now) or self._idle(turn, now) or self._whole(turn, now)
        if answer.claimed:
            self._store.worked = monotonic()
        if turn.watch:
            return replace(answer, cancelling=self._cancelling(turn.worker))
        return answer

    def release_token(self, token: bytes) -> int:
        return self._store.transact(
            lambda tx: self._let_go(tx, self._sql.by_token.all(tx.cursor, token))
        )

    def release_worker(self, worker: str, *, crash: Crash | None = None) -> int:
        now = self._store.now()

        def release(tx: Transaction) -> int:
            held = self._sql.by_worker.all(tx.cursor, worker)
            if crash is not None:
                blamed = [row for row in held if crash.blames(row[0])]
                self._sql.blame.run(tx.cursor, [row[0] for row in blamed])
                self._rows.insert_outcome.many(
                    tx.cursor,
                    [
                        crashed_row(
                            *(job_id, worker, crash.error), attempts=attempts, since=since, now=now
                        )
                        for job_id, _, attempts, since in blamed
                    ],
                )
            return self._let_go(tx, held)

        return self._store.transact(release)

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        with self._store.read() as cursor:
            return [(job_id, token) for job_id, token in self._sql.held_by.all(cursor, worker)]

    def holders(self) -> Sequence[str]:
        with self._store.read() as cursor:
            return [worker for (worker,) in self._sql.holders.all(cursor)]

    def begin(self, claims: Sequence[tuple[bytes, bytes]]) -> None:
        self._store.transact(lambda tx: self._following.begun(tx.cursor, claims))

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        row = (
            job_id,
            attachment.n,
            attachment.name,
            attachment.size,
            attachment.media_type,
            attachment.path,
        )

        def attach(tx: Transaction) -> bool:
            if self._sql.holds.one(tx.cursor, job_id, token) is None:
                return False
            self._sql.detach.run(tx.cursor, job_id, attachment.n)
            self._sql.attach.run(tx.cursor, *row)
            return True

        return self._store.transact(attach)

    # one turn

    def _at_once(self, turn: Exchange, now: int) -> Exchanged | None:
        """A turn in one statement, as most are; None where it needs more than that."""
        counts = _counted_only(turn)
        if counts is None or not self._hot.knows_at_once:
            return None
        try:
            done = self._store.alone(
                lambda cursor: self._hot.at_once(cursor, turn, now, counts), repeat=False
            )
        except self._store.DataErrors:
            return None
        if done is None:
            return None
        settled: Sequence[Settled] = [Settled.DONE] * len(turn.settle)
        if not done.settled:
            # Plain ones: nothing is bound to them.
            settled = self._store.transact(
                lambda tx: self._settle_each(tx, turn.settle, now, Counts())
            )
        due = done.next_due is not None and done.next_due <= now
        # Who stops when nothing is left must not take a settle that was refused for that.
        if turn.slots and (due or not (done.settled or done.claimed)):
            return self._whole(replace(turn, settle=()), now, settled)
        return Exchanged(now, settled, done.claimed, next_due=done.next_due)

    def _idle(self, turn: Exchange, now: int) -> Exchanged | None:
        """A turn that has nothing to do: seen without a lock. None where there is something."""
        if turn.settle or turn.progress:
            return None
        with self._store.read() as cursor:
            look = self._hot.look(cursor, turn)
        due = look.next_due is not None and look.next_due <= now
        if turn.slots and (due or look.claimable):
            return None
        return Exchanged(now, next_due=look.next_due)

    def _whole(self, turn: Exchange, now: int, settled_before: Sequence[Settled] = ()) -> Exchanged:
        """Any turn, in one transaction."""
        try:
            settled, claimed, next_due = self._store.transact(
                lambda tx: self._turn(tx, turn, now, self._settle), repeat=False
            )
        except self._once_more:
            settled, claimed, next_due = self._store.transact(
                lambda tx: self._turn(tx, turn, now, self._settle_each), repeat=False
            )
        return Exchanged(now, settled or settled_before, claimed, next_due=next_due)

    def _turn(
        self, tx: Transaction, turn: Exchange, now: int, settle: Any
    ) -> tuple[Sequence[Settled], list[ClaimedJob], int | None]:
        counts = Counts()
        settled: Sequence[Settled] = settle(tx, turn.settle, now, counts) if turn.settle else ()
        for write in turn.progress:
            if self._sql.holds.one(tx.cursor, write.id, write.token):
                self._rows.put_progress(tx.cursor, write.id, write.progress)
        claimed, next_due = self._claim(tx, turn, now)
        # Last, for others wait for the rows of batches.
        if self._following.count(tx.cursor, counts, now):
            tx.woken = True
            claimed += self._hot.claim(tx.cursor, _with_what_is_free(turn, claimed), now)
        return settled, claimed, next_due

    def _claim(
        self, tx: Transaction, turn: Exchange, now: int
    ) -> tuple[list[ClaimedJob], int | None]:
        next_due = self._next_due(tx.cursor)
        if not turn.slots:
            return [], next_due
        promoted = 0
        if next_due is not None and next_due <= now:
            promoted = self._promote(tx.cursor, now)
            next_due = self._next_due(tx.cursor)
        claimed = self._hot.claim(tx.cursor, turn, now)
        tx.woken |= promoted > len(claimed)
        return claimed, next_due

    def _settle(
        self, tx: Transaction, moves: Sequence[Transition], now: int, counts: Counts
    ) -> Sequence[Settled]:
        """Most are plain completions of claims that still hold: those go together."""
        self._following.lock_keys(tx.cursor, moves)
        plain = [move for move in moves if move.to is State.COMPLETED and not move.follow_ups]
        if not self._hot.complete(tx.cursor, plain):
            raise _NotPlain
        for each in plain:
            if each.progress is not None:
                self._rows.put_progress(tx.cursor, each.id, each.progress)
        if len(plain) == len(moves):
            tx.woken |= self._following.settled(tx.cursor, plain, now, counts)
            return [Settled.DONE] * len(moves)
        together = {id(each) for each in plain}
        made = _Made(plain)
        settled = [
            Settled.DONE if id(move) in together else self._settle_one(tx, move, now, made)
            for move in moves
        ]
        self._follow(tx, made, now, counts)
        return settled

    def _settle_each(
        self, tx: Transaction, moves: Iterable[Transition], now: int, counts: Counts
    ) -> Sequence[Settled]:
        made = _Made()
        settled = [self._settle_one(tx, move, now, made) for move in moves]
        self._follow(tx, made, now, counts)
        return settled

    def _follow(self, tx: Transaction, made: _Made, now: int, counts: Counts) -> None:
        tx.woken |= self._following.settled(tx.cursor, made.moves, now, counts)
        tx.woken |= self._following.cancelled(tx.cursor, made.cancelled, now, counts)

    def _settle_one(self, tx: Transaction, move: Transition, now: int, made: _Made) -> Settled:
        cursor = tx.cursor
        held = self._rows.marked.one(cursor, move.id, move.token)
        if held is None:
            if self._sql.settled.one(cursor, move.id, move.token):
                return Settled.DONE
            return Settled.STALE if self._rows.is_known(cursor, move.id) else Settled.UNKNOWN
        if held[0] and move.to not in FINISHED:
            move = called_back(move)
        self._rows.delete_ready.run(cursor, move.id, move.token)
        cursor.execute("SAVEPOINT move")
        cancelled: list[bytes] = []
        try:
            tx.woken |= self._rows.apply(cursor, move, now, cancelled)
        except self._store.DataErrors as error:
            # Something in it cannot be stored: the job fails with that as its reason, and its
            # neighbours do not notice.
            cursor.execute("ROLLBACK TO SAVEPOINT move")
            move = unstorable(move, error, attempts=held[1] + 1, now=now)
            cancelled = []
            tx.woken |= self._rows.apply(cursor, move, now, cancelled)
        cursor.execute("RELEASE SAVEPOINT move")
        made.moves.append(move)
        made.cancelled += cancelled
        return Settled.DONE

    def _promote(self, cursor: Any, now: int) -> int:
        due = self._sql.due.all(cursor, now, PROMOTED_AT_ONCE)
        self._rows.insert_ready.many(cursor, due)
        self._sql.undo_waiting.run(cursor, [row[0] for row in due])
        return len(due)

    def _next_due(self, cursor: Any) -> int | None:
        row = self._sql.next_due.one(cursor)
        return row[0] if row else None

    def _cancelling(self, worker: str) -> frozenset[bytes]:
        with self._store.read() as cursor:
            return frozenset(row[0] for row in self._sql.cancelling.all(cursor, worker))

    def _let_go(self, tx: Transaction, held: Sequence[Row]) -> int:
        """Put claimed rows back at the place they had; those called back meanwhile end."""
        self._sql.let_go.run(tx.cursor, [row[0] for row in held])
        now = self._store.now()
        called_back = [job_id for job_id, cancelling, *_ in held if cancelling]
        for job_id in called_back:
            self._rows.cancel(tx.cursor, job_id, CALLED_BACK, now)
        self._following.all_cancelled(tx.cursor, called_back, now)
        self._hot.put_back()
        tx.woken = bool(held)
        return len(held)


def _counted_only(turn: Exchange) -> dict[bytes, int] | None:
    """Of a turn of plain completions, how many there are by batch; None where more follows."""
    if turn.progress:
        return None
    counts: dict[bytes, int] = {}
    for move in turn.settle:
        if move.to is not State.COMPLETED or move.follow_ups or move.progress is not None:
            return None
        bonds = move.bonds
        if bonds is None:
            continue
        if bonds.batch is None or bonds.next or bonds.unique is not None:
            return None
        counts[bonds.batch] = counts.get(bonds.batch, 0) + 1
    # Of many batches, one is likely to finish.
    return counts if len(counts) <= BATCHES_AT_ONCE else None


def _with_what_is_free(turn: Exchange, claimed: Sequence[ClaimedJob]) -> Exchange:
    """The turn with the slots that are left."""
    taken = Counter(job.isolation for job in claimed)
    return replace(turn, slots={kind: room - taken[kind] for kind, room in turn.slots.items()})


class _Made:
    """What was settled one by one: moves as they were made, and jobs that they cancelled."""

    def __init__(self, moves: Iterable[Transition] = ()) -> None:
        self.moves = list(moves)
        self.cancelled: list[bytes] = []


class _NotPlain(Exception):
    """Some claim does not hold any more: the turn is done again, one settle at a time."""


class _Statements:
    """The statements of claiming, compiled once."""

    def __init__(self, store: Store) -> None:
        prepare = store.prepare
        y, w = ready.c, waiting.c
        self.holds = prepare(
            select(y.seq).where(y.id == P("job"), y.token == P("held")).with_for_update(),
            "job",
            "held",
        )
        claim = (
            select(y.id, y.cancelling, y.attempts, y.claimed_at)
            .where(y.token.is_not(None))
            .with_for_update()
        )
        # A token has no index on every engine, and a worker has.
        self.by_token = prepare(claim.where(y.token == P("held"), y.worker.is_not(None)), "held")
        # What a host that is gone had locked stays locked until the server knows: for hours, if it
        # does not ask. Nothing else waits for that.
        unlocked = claim.with_for_update(skip_locked=True)
        self.by_worker = prepare(unlocked.where(y.worker == P("who")), "who")
        self.holders = prepare(
            select(y.worker).where(y.token.is_not(None), y.worker.is_not(None)).distinct()
        )
        self.held_by = prepare(
            select(y.id, y.token).where(y.token.is_not(None), y.worker == P("who")), "who"
        )
        freed = {"token": null(), "worker": null(), "claimed_at": null()}
        self.let_go = store.keyed(update(ready).values(**freed), y.id)
        crashed = {"crashes": y.crashes + ONE, "isolation": literal(Isolation.PROCESS)}
        self.blame = store.keyed(update(ready).values(**crashed), y.id)
        self.cancelling = prepare(
            select(y.id).where(y.token.is_not(None), y.worker == P("who"), y.cancelling == ONE),
            "who",
        )
        # Not min(): a plan for that, made while there was nothing, reads the whole index for ever.
        self.next_due = prepare(
            first(
                select(w.due_at)
                .where(w.blockers == ZERO, w.due_at.is_not(None))
                .order_by(w.due_at),
                ONE,
            )
        )
        self.due = prepare(
            first(
                select(*(w[name] for name in WORK))
                .where(w.blockers == ZERO, w.due_at <= P("now"))
                .order_by(w.due_at, w.id),
                P("n"),
            ).with_for_update(skip_locked=True),
            "now",
            "n",
        )
        self.undo_waiting = store.keyed(delete(waiting), w.id)
        self.settled = prepare(
            select(outcomes.c.seq).where(outcomes.c.id == P("job"), outcomes.c.token == P("held")),
            "job",
            "held",
        )
        a = attachments.c
        self.detach = prepare(
            delete(attachments).where(a.id == P("job"), a.n == P("which")), "job", "which"
        )
        self.attach = prepare(insert(attachments), *names(attachments))
