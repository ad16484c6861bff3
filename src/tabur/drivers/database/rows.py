"""The statements that bring jobs into the tables and move them between; shared by the roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import bindparam, delete, insert, select, update

from tabur.drivers.database.schema import (
    cursors,
    outcomes,
    progress,
    ready,
    records,
    waiting,
)
from tabur.drivers.database.statements import ONE, ZERO, Inserting, InsertingNew, Keyed, Statement
from tabur.drivers.database.store import Hot
from tabur.model.outcome import Cancel, Dispatch, Ending, FollowUp, Transition, Unblock
from tabur.model.records import ErrorInfo, NewJob, Progress, encode
from tabur.model.states import FINISHED, Isolation
from tabur.model.text import storable

P = bindparam

#: The largest number that a column can hold.
LARGEST = 2**63 - 1
#: Looks for what changes its place just then.
LOOKS = 3


class Source(Protocol):
    """Whose statements they are: a store's, for its own cursors, or those of callers'
    connections."""

    hot: Hot

    def prepare(self, statement: Any, *names: str) -> Statement: ...

    def keyed(self, statement: Any, column: Any, *names: str) -> Keyed: ...

    def inserting(self, table: Any) -> Inserting: ...

    def inserting_new(self, table: Any) -> InsertingNew: ...

    def ignoring_known(self, insert: Any) -> Any: ...

    def replacing(self, insert: Any) -> Any: ...


class Rows:
    """Inserts, deletes and moves of single rows, on whatever cursor it is given.

    Rows are locked before they are judged: what is read here is still so when it is changed.
    """

    def __init__(self, store: Source) -> None:
        self._hot = store.hot
        self.insert_record = store.prepare(store.ignoring_known(insert(records)), *RECORD)
        self.insert_ready = insert_ready(store)
        self.insert_waiting = insert_waiting(store)
        self.insert_outcome = insert_outcome(store)
        self.delete_ready = store.prepare(
            delete(ready).where(ready.c.id == P("job"), ready.c.token == P("held")), "job", "held"
        )
        self.marked = store.prepare(
            select(ready.c.cancelling, ready.c.attempts)
            .where(ready.c.id == P("job"), ready.c.token == P("held"))
            .with_for_update(),
            "job",
            "held",
        )
        self.in_ready = store.prepare(
            select(ready.c.attempts, ready.c.token).where(ready.c.id == P("job")).with_for_update(),
            "job",
        )
        self.in_waiting = store.prepare(
            select(waiting.c.attempts).where(waiting.c.id == P("job")).with_for_update(), "job"
        )
        self.delete_locked = store.prepare(delete(ready).where(ready.c.id == P("job")), "job")
        self.delete_waiting = store.prepare(delete(waiting).where(waiting.c.id == P("job")), "job")
        self.delete_progress = store.prepare(
            delete(progress).where(progress.c.id == P("job")), "job"
        )
        self.replace_progress = store.prepare(store.replacing(insert(progress)), *names(progress))
        self.replace_cursor = store.prepare(store.replacing(insert(cursors)), *names(cursors))
        self.mark_cancelling = store.prepare(
            update(ready).where(ready.c.id == P("job")).values(cancelling=ONE), "job"
        )
        self.unblock = store.prepare(
            update(waiting)
            .where(waiting.c.id == P("job"), waiting.c.blockers > ZERO)
            .values(blockers=waiting.c.blockers - ONE),
            "job",
        )
        self.unblocked = store.prepare(
            select(*(waiting.c[name] for name in WORK), waiting.c.due_at).where(
                waiting.c.id == P("job"), waiting.c.blockers == ZERO
            ),
            "job",
        )
        self.known = store.prepare(select(records.c.id).where(records.c.id == P("job")), "job")
        self.place = store.prepare(
            select(records.c.queue, records.c.isolation, records.c.rank).where(
                records.c.id == P("job")
            ),
            "job",
        )

    # bringing in

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        """Insert new jobs; answers whether any may be claimed at once. An id that is known raises
        the store's KnownId."""
        return self._hot.insert(cursor, jobs, now)

    def insert_unknown(self, cursor: Any, jobs: Iterable[NewJob], now: int) -> bool:
        """As `insert`, one by one, passing over those whose id is known."""
        woken = False
        for job in jobs:
            if self.insert_record.run(cursor, *record_row(job)) == 1:
                to_ready, to_waiting = split([job], now)
                self.insert_ready.many(cursor, to_ready)
                self.insert_waiting.many(cursor, to_waiting)
                woken |= bool(to_ready)
        return woken

    def is_known(self, cursor: Any, job_id: bytes) -> bool:
        return self.known.one(cursor, job_id) is not None

    # moving

    def apply(self, cursor: Any, move: Transition, now: int, cancelled: list[bytes]) -> bool:
        """What follows once the claim's row is gone: where it goes, its outcome, its follow-ups,
        but for what its bonds ask for. `now` is the store's, for the worker's clock may be wrong.
        Puts the jobs that it ends into `cancelled`, and answers whether something may be claimed at
        once."""
        woken = False
        if move.to not in FINISHED:
            woken = self._again(cursor, move)
        if move.ending is not None:
            self.insert_outcome.run(cursor, *outcome_row(move))
        if move.progress is not None:
            self.put_progress(cursor, move.id, move.progress)
        for follow_up in move.follow_ups:
            woken |= self.follow_up(cursor, follow_up, now, cancelled)
        return woken

    def put_progress(self, cursor: Any, job_id: bytes, made: Progress) -> None:
        self.replace_progress.run(cursor, *progress_row(job_id, made))

    def follow_up(self, cursor: Any, follow_up: FollowUp, now: int, cancelled: list[bytes]) -> bool:
        match follow_up:
            case Unblock(job):
                if self.unblock.run(cursor, job):
                    row = self.unblocked.one(cursor, job)
                    if row is not None and (row[-1] is None or row[-1] <= now):
                        self.delete_waiting.run(cursor, job)
                        self.insert_ready.run(cursor, *row[:-1])
                        return True
            case Cancel(job, reason):
                if self.cancel(cursor, job, reason, now):
                    cancelled.append(job)
            case Dispatch(job):
                return self.insert_unknown(cursor, [job], now)
        return False

    def cancel(
        self, cursor: Any, job_id: bytes, reason: str, now: int, *, running: bool = True
    ) -> bool | None:
        """Cancel what has not started: True; mark what runs (or, not `running`, leave it): False;
        None where it is neither. What follows for those that are bound to it is the caller's."""
        for _ in range(LOOKS):  # it may change its table between two of our statements
            found = self.in_ready.one(cursor, job_id)
            if found is not None and found[1] is not None:
                if running:
                    self.mark_cancelling.run(cursor, job_id)
                return False
            if found is not None:
                self.delete_locked.run(cursor, job_id)
            else:
                found = self.in_waiting.one(cursor, job_id)
                self.delete_waiting.run(cursor, job_id)
            if found is not None:
                row = cancelled_row(job_id, reason, attempts=found[0], now=now)
                self.insert_outcome.run(cursor, *row)
                return True
        return None

    def _again(self, cursor: Any, move: Transition) -> bool:
        place = self.place.one(cursor, move.id)
        assert place is not None, "a claimed job without its record"
        queue, isolation, rank = place
        if move.crashes:
            isolation = Isolation.PROCESS.value
        row = (move.id, queue, isolation, rank, move.attempts, move.exceptions, move.crashes)
        if move.due_at is None:
            self.insert_ready.run(cursor, *row)
            return True
        self.insert_waiting.run(cursor, *row, move.due_at, 0)
        return False


def names(table: Any) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


#: The columns of each kind of row, in their order.
RECORD = names(records)
WORK = ("id", "queue", "isolation", "rank", "attempts", "exceptions", "crashes")
WAIT = (*WORK, "due_at", "blockers")
OUTCOME = tuple(name for name in names(outcomes) if name != "seq")


def insert_ready(store: Source) -> Statement:
    return store.prepare(insert(ready).values({name: P(name) for name in WORK}), *WORK)


def insert_waiting(store: Source) -> Statement:
    return store.prepare(insert(waiting).values({name: P(name) for name in WAIT}), *WAIT)


def insert_outcome(store: Source) -> Statement:
    return store.prepare(insert(outcomes).values({name: P(name) for name in OUTCOME}), *OUTCOME)


def split(jobs: Sequence[NewJob], now: int) -> tuple[list[Any], list[Any]]:
    """Rows for `job_ready` and for `job_waiting`."""
    ready_rows: list[Any] = []
    waiting_rows: list[Any] = []
    for job in jobs:
        row = (
            job.id,
            job.queue,
            job.isolation.value,
            -job.priority,
            job.attempts,
            job.exceptions,
            job.crashes,
        )
        if job.blockers or (job.due_at is not None and job.due_at > now):
            waiting_rows.append((*row, job.due_at, job.blockers))
        else:
            ready_rows.append(row)
    return ready_rows, waiting_rows


def record_row(job: NewJob) -> tuple[Any, ...]:
    return (
        job.id,
        job.name,
        job.queue,
        -job.priority,
        job.isolation.value,
        job.payload,
        job.options,
        job.tenant,
        job.user,
        job.locale,
        job.created_at,
    )


def outcome_row(move: Transition) -> tuple[Any, ...]:
    assert move.ending is not None
    return (
        move.id,
        move.attempts,
        move.token,
        move.ending.value,
        move.worker,
        move.started_at,
        move.ended_at,
        None if move.error is None else encode(move.error).decode(),
        move.result,
    )


def progress_row(job_id: bytes, made: Progress) -> tuple[Any, ...]:
    """A job reports what it likes, and a turn of its neighbours must not fail for it: numbers are
    capped and texts made storable."""
    return (
        job_id,
        min(made.done, LARGEST),
        None if made.total is None else min(made.total, LARGEST),
        _fitting(made.unit, progress.c.unit),
        _fitting(made.message, progress.c.message),
        min(made.warnings, LARGEST),
    )


def _fitting(value: str | None, column: Any) -> str | None:
    """As many characters as the column is wide."""
    width: int = column.type.length
    return None if value is None else storable(value, limit=4 * width)[:width]


def crashed_row(
    job_id: bytes, worker: str, error: ErrorInfo, *, attempts: int, since: int, now: int
) -> tuple[Any, ...]:
    """The outcome of a claim of `since` whose process died under it. It bears no token: those tell
    a settle that comes again, which is done, from one of a claim that has moved on."""
    text = encode(error).decode()
    return (job_id, attempts, None, Ending.CRASHED.value, worker, since, now, text, None)


def cancelled_row(job_id: bytes, reason: str, *, attempts: int, now: int) -> tuple[Any, ...]:
    """The outcome of a job that was called back before it started, or between two attempts."""
    error = encode(ErrorInfo("JobCancelled", reason)).decode()
    return (job_id, attempts, None, Ending.CANCELLED.value, None, None, now, error, None)
