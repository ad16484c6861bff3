"""A worker's turn: settle what has ended and claim what is free, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import bindparam, func, null, select, update

from tabur.drivers.contract import Exchange, Exchanged
from tabur.drivers.database.rows import Rows, outcome_row
from tabur.drivers.database.schema import outcomes, ready, records, waiting
from tabur.drivers.database.sqlite import SqliteFile
from tabur.drivers.database.statements import ONE, ZERO, Prepared, literal
from tabur.drivers.database.wake import Bell
from tabur.model.outcome import Ending, Settled, Transition
from tabur.model.records import Attachment, ClaimedJob, ErrorInfo
from tabur.model.states import FINISHED, Isolation, State

P = bindparam

#: Due jobs promoted in one turn.
PROMOTED_AT_ONCE = 500


class DatabaseClaiming:
    def __init__(self, file: SqliteFile, rows: Rows, bell: Bell, clock: Callable[[], int]) -> None:
        self._file = file
        self._rows = rows
        self._bell = bell
        self._clock = clock
        self._sql = _Statements(file)

    def exchange(self, turn: Exchange) -> Exchanged:
        now = self._clock()
        cancelling = self._cancelling(turn.worker) if turn.watch else frozenset[bytes]()
        if not (turn.settle or turn.progress or self._claimable(turn, now)):
            return Exchanged(now, cancelling=cancelling, next_due=self._next_due())
        woken = False
        with self._file.write() as cursor:
            settled: Sequence[Settled] = ()
            if turn.settle:
                settled, woken = self._settle(cursor, turn.settle, now)
            for write in turn.progress:
                if cursor.execute(self._sql.held.sql, (write.id, write.token)).fetchone():
                    self._rows.put_progress(cursor, write.id, write.progress)
            claimed: list[ClaimedJob] = []
            if turn.slots:
                promoted = self._promote(cursor, now)
                claimed = self._claim(cursor, turn, now)
                woken |= promoted > len(claimed)
            next_due = cursor.execute(self._sql.next_due.sql).fetchone()[0]
        if woken:
            self._bell.ring()
        return Exchanged(now, settled, claimed, cancelling, next_due)

    def release_token(self, token: bytes) -> int:
        with self._file.write() as cursor:
            held = cursor.execute(self._sql.by_token.sql, (token,)).fetchall()
            self._let_go(cursor, held, crashed=False)
        self._bell.ring()
        return len(held)

    def release_worker(self, worker: str, *, crashed: bool) -> int:
        with self._file.write() as cursor:
            held = cursor.execute(self._sql.by_worker.sql, (worker,)).fetchall()
            self._let_go(cursor, held, crashed=crashed)
        self._bell.ring()
        return len(held)

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        with self._file.write() as cursor:
            if cursor.execute(self._sql.held.sql, (job_id, token)).fetchone() is None:
                return False
            cursor.execute(
                "INSERT OR REPLACE INTO job_attachments (id, n, name, size, media_type, path) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    job_id,
                    attachment.n,
                    attachment.name,
                    attachment.size,
                    attachment.media_type,
                    attachment.path,
                ),
            )
        return True

    # settling

    def _settle(
        self, cursor: Any, moves: Sequence[Transition], now: int
    ) -> tuple[Sequence[Settled], bool]:
        """Most groups are plain completions of claims that still hold: those go in two statements.
        Whatever turns out otherwise is undone and settled one by one."""
        cursor.execute("SAVEPOINT moves")
        plain = [move for move in moves if move.to is State.COMPLETED and not move.follow_ups]
        cursor.executemany(self._rows.delete_ready.sql, [(each.id, each.token) for each in plain])
        if cursor.rowcount != len(plain):
            cursor.execute("ROLLBACK TO moves")
            return self._settle_each(cursor, moves, now)
        woken = False
        try:
            cursor.executemany(self._rows.insert_outcome.sql, [outcome_row(each) for each in plain])
            for each in plain:
                if each.progress is not None:
                    self._rows.put_progress(cursor, each.id, each.progress)
        except self._file.DataErrors:
            cursor.execute("ROLLBACK TO moves")
            return self._settle_each(cursor, moves, now)
        if len(plain) == len(moves):
            return [Settled.DONE] * len(moves), woken
        answers = {id(each): Settled.DONE for each in plain}
        for move in moves:
            if id(move) not in answers:
                answers[id(move)], rung = self._settle_one(cursor, move, now)
                woken |= rung
        return [answers[id(move)] for move in moves], woken

    def _settle_each(
        self, cursor: Any, moves: Iterable[Transition], now: int
    ) -> tuple[Sequence[Settled], bool]:
        settled = [self._settle_one(cursor, move, now) for move in moves]
        return [answer for answer, _ in settled], any(rung for _, rung in settled)

    def _settle_one(self, cursor: Any, move: Transition, now: int) -> tuple[Settled, bool]:
        held = cursor.execute(self._rows.marked.sql, (move.id, move.token)).fetchone()
        if held is not None:
            if held[0] and move.to not in FINISHED:
                move = called_back(move)
            cursor.execute(self._rows.delete_ready.sql, (move.id, move.token))
            cursor.execute("SAVEPOINT move")
            try:
                woken = self._rows.apply(cursor, move, now)
            except self._file.DataErrors as error:
                # Something in it cannot be stored: the job fails with that as its reason, and
                # its neighbours do not notice.
                cursor.execute("ROLLBACK TO move")
                failed = unstorable(move, error, attempts=held[1] + 1, now=now)
                woken = self._rows.apply(cursor, failed, now)
            cursor.execute("RELEASE move")
            return Settled.DONE, woken
        if cursor.execute(self._sql.settled.sql, (move.id, move.token)).fetchone():
            return Settled.DONE, False
        known = self._rows.is_known(cursor, move.id)
        return (Settled.STALE if known else Settled.UNKNOWN), False

    # claiming

    def _claimable(self, turn: Exchange, now: int) -> bool:
        """A look without a lock: an idle worker writes nothing."""
        if not turn.slots:
            return False
        with self._file.read() as connection:
            due = connection.execute(self._sql.next_due.sql).fetchone()[0]
            return (due is not None and due <= now) or any(
                connection.execute(self._sql.peek.sql, (queue, isolation.value)).fetchone()
                for queue in turn.queues
                for isolation, free in turn.slots.items()
                if free
            )

    def _claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        claimed: list[ClaimedJob] = []
        taken: list[tuple[Any, ...]] = []
        free = dict(turn.slots)
        for queue in turn.queues:
            for isolation, room in free.items():
                if room <= 0:
                    continue
                row = (queue, isolation.value, room)
                rows = cursor.execute(self._sql.candidates.sql, row).fetchall()
                free[isolation] = room - len(rows)
                for seq, job_id, name, *rest in rows:
                    taken.append((turn.token, turn.worker, now, seq))
                    claimed.append(ClaimedJob(job_id, name, queue, isolation, *(*rest, turn.token)))
        if taken:
            cursor.executemany(self._sql.take.sql, taken)
        return claimed

    def _promote(self, cursor: Any, now: int) -> int:
        due = cursor.execute(self._sql.due.sql, (now, PROMOTED_AT_ONCE)).fetchall()
        if due:
            cursor.executemany(self._rows.insert_ready.sql, due)
            cursor.executemany(self._rows.delete_waiting.sql, [(row[0],) for row in due])
        return len(due)

    def _next_due(self) -> int | None:
        with self._file.read() as connection:
            due: int | None = connection.execute(self._sql.next_due.sql).fetchone()[0]
            return due

    def _cancelling(self, worker: str) -> frozenset[bytes]:
        with self._file.read() as connection:
            rows = connection.execute(self._sql.cancelling.sql, (worker,)).fetchall()
        return frozenset(row[0] for row in rows)

    def _let_go(self, cursor: Any, held: list[tuple[Any, ...]], *, crashed: bool) -> None:
        """Put claimed rows back at the place they had; those called back meanwhile end."""
        sql = self._sql.let_go_crashed if crashed else self._sql.let_go
        cursor.executemany(sql.sql, [(seq,) for seq, *_ in held])
        for _, job_id, cancelling in held:
            if cancelling:
                self._rows.cancel(cursor, job_id, "Called back while it ran.", self._clock())


def called_back(move: Transition) -> Transition:
    """What would run again, had its owner not asked for its end."""
    reason = ErrorInfo("JobCancelled", "Called back while it ran.")
    return replace(
        move, to=State.CANCELLED, ending=Ending.CANCELLED, error=reason, due_at=None, follow_ups=()
    )


def unstorable(move: Transition, error: Exception, *, attempts: int, now: int) -> Transition:
    """`move` as a failure that says what could not be stored, with nothing of it that might be
    the cause."""
    reason = ErrorInfo("UnstorableOutcome", f"What it left could not be stored: {error}")
    return replace(
        move,
        to=State.FAILED,
        ending=Ending.FAILED,
        error=reason,
        attempts=attempts,
        started_at=None,
        ended_at=now,
        result=None,
        progress=None,
        due_at=None,
        follow_ups=(),
    )


class _Statements:
    """The statements of claiming, compiled once."""

    def __init__(self, file: SqliteFile) -> None:
        def prepare(statement: Any, *names: str) -> Prepared:
            return Prepared(statement, file.dialect, *names)

        y, r, w = ready.c, records.c, waiting.c
        free = (y.queue == P("q"), y.isolation == P("kind"), y.token.is_(None))
        self.peek = prepare(select(y.seq).where(*free).limit(ONE).offset(ZERO), "q", "kind")
        self.candidates = prepare(
            select(
                y.seq,
                y.id,
                r.name,
                r.payload,
                r.created_at,
                y.attempts,
                y.exceptions,
                y.crashes,
                r.options,
                r.tenant,
                r.user_id,
                r.locale,
            )
            .join_from(ready, records, y.id == r.id)
            .where(*free)
            .order_by(y.rank, y.seq)
            .limit(P("n"))
            .offset(ZERO),
            "q",
            "kind",
            "n",
        )
        self.take = prepare(
            update(ready)
            .where(y.seq == P("row"))
            .values(token=P("fresh"), worker=P("who"), claimed_at=P("at")),
            "fresh",
            "who",
            "at",
            "row",
        )
        self.held = prepare(
            select(y.seq).where(y.id == P("job"), y.token == P("held")), "job", "held"
        )
        self.by_token = prepare(
            select(y.seq, y.id, y.cancelling).where(y.token.is_not(None), y.token == P("held")),
            "held",
        )
        self.by_worker = prepare(
            select(y.seq, y.id, y.cancelling).where(y.token.is_not(None), y.worker == P("who")),
            "who",
        )
        freed = {"token": null(), "worker": null(), "claimed_at": null()}
        self.let_go = prepare(update(ready).where(y.seq == P("row")).values(**freed), "row")
        self.let_go_crashed = prepare(
            update(ready)
            .where(y.seq == P("row"))
            .values(**freed, crashes=y.crashes + ONE, isolation=literal(Isolation.PROCESS)),
            "row",
        )
        self.cancelling = prepare(
            select(y.id).where(y.token.is_not(None), y.worker == P("who"), y.cancelling == ONE),
            "who",
        )
        self.next_due = prepare(select(func.min(w.due_at)).where(w.blockers == ZERO))
        self.due = prepare(
            select(w.id, w.queue, w.isolation, w.rank, w.attempts, w.exceptions, w.crashes)
            .where(w.blockers == ZERO, w.due_at <= P("now"))
            .order_by(w.due_at, w.id)
            .limit(P("n"))
            .offset(ZERO),
            "now",
            "n",
        )
        self.settled = prepare(
            select(outcomes.c.seq).where(outcomes.c.id == P("job"), outcomes.c.token == P("held")),
            "job",
            "held",
        )
