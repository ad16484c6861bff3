"""The statements that bring jobs into the tables and move them between; shared by the roles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Dialect, bindparam, delete, insert, select, update

from tabur.drivers.database.schema import outcomes, progress, ready, records, waiting
from tabur.drivers.database.statements import ONE, ZERO, Prepared
from tabur.model.outcome import Cancel, Dispatch, Ending, FollowUp, Transition, Unblock
from tabur.model.records import ErrorInfo, NewJob, Progress, encode
from tabur.model.states import FINISHED
from tabur.model.text import storable

P = bindparam

#: The largest number that a column can hold.
LARGEST = 2**63 - 1


class Rows:
    """Inserts, deletes and moves of single rows, on whatever cursor it is given."""

    def __init__(self, dialect: Dialect) -> None:
        def prepare(statement: Any, *names: str) -> Prepared:
            return Prepared(statement, dialect, *names)

        self.insert_record = prepare(insert(records), *_names(records))
        self.insert_ready = prepare(insert(ready).values({name: P(name) for name in _WORK}), *_WORK)
        self.insert_waiting = prepare(insert(waiting), *_names(waiting))
        outcome = tuple(name for name in _names(outcomes) if name != "seq")
        self.insert_outcome = prepare(
            insert(outcomes).values({name: P(name) for name in outcome}), *outcome
        )
        self.delete_ready = prepare(
            delete(ready).where(ready.c.id == P("job"), ready.c.token == P("held")), "job", "held"
        )
        self.marked = prepare(
            select(ready.c.cancelling, ready.c.attempts).where(
                ready.c.id == P("job"), ready.c.token == P("held")
            ),
            "job",
            "held",
        )
        self.delete_unclaimed = prepare(
            delete(ready).where(ready.c.id == P("job"), ready.c.token.is_(None)), "job"
        )
        self.unstarted = prepare(
            select(ready.c.attempts)
            .where(ready.c.id == P("job"), ready.c.token.is_(None))
            .union_all(select(waiting.c.attempts).where(waiting.c.id == P("same"))),
            "job",
            "same",
        )
        self.delete_waiting = prepare(delete(waiting).where(waiting.c.id == P("job")), "job")
        self.delete_progress = prepare(delete(progress).where(progress.c.id == P("job")), "job")
        self.insert_progress = prepare(insert(progress), *_names(progress))
        self.mark_cancelling = prepare(
            update(ready).where(ready.c.id == P("job")).values(cancelling=ONE), "job"
        )
        self.unblock = prepare(
            update(waiting)
            .where(waiting.c.id == P("job"), waiting.c.blockers > ZERO)
            .values(blockers=waiting.c.blockers - ONE),
            "job",
        )
        self.known = prepare(select(records.c.id).where(records.c.id == P("job")), "job")
        self.unblocked = prepare(
            select(*(waiting.c[name] for name in _WORK), waiting.c.due_at).where(
                waiting.c.id == P("job"), waiting.c.blockers == ZERO
            ),
            "job",
        )

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        """Insert new jobs; answers whether any may be claimed at once. An id that is known raises
        the store's IntegrityError."""
        _insert(cursor, self.insert_record.sql, [_record_row(job) for job in jobs])
        ready_rows, waiting_rows = split(jobs, now)
        _insert(cursor, self.insert_ready.sql, ready_rows)
        _insert(cursor, self.insert_waiting.sql, waiting_rows)
        return bool(ready_rows)

    def unknown(self, cursor: Any, jobs: Iterable[NewJob]) -> list[NewJob]:
        """Those whose id is not in the store yet, each once."""
        fresh: dict[bytes, NewJob] = {}
        for job in jobs:
            if not self.is_known(cursor, job.id):
                fresh.setdefault(job.id, job)
        return list(fresh.values())

    def is_known(self, cursor: Any, job_id: bytes) -> bool:
        cursor.execute(self.known.sql, (job_id,))  # an asynchronous driver's cursor answers None
        return cursor.fetchone() is not None

    def apply(self, cursor: Any, move: Transition, now: int) -> bool:
        """What follows once the claim's row is gone: where it goes, its outcome, its follow-ups.
        `now` is the store's, for the worker's clock may be wrong. Answers whether something may be
        claimed at once."""
        woken = False
        if move.to not in FINISHED:
            woken = self._again(cursor, move)
        if move.ending is not None:
            cursor.execute(self.insert_outcome.sql, outcome_row(move))
        if move.progress is not None:
            self.put_progress(cursor, move.id, move.progress)
        for follow_up in move.follow_ups:
            woken |= self.follow_up(cursor, follow_up, now)
        return woken

    def put_progress(self, cursor: Any, job_id: bytes, made: Progress) -> None:
        cursor.execute(self.delete_progress.sql, (job_id,))
        cursor.execute(self.insert_progress.sql, progress_row(job_id, made))

    def follow_up(self, cursor: Any, follow_up: FollowUp, now: int) -> bool:
        match follow_up:
            case Unblock(job):
                if cursor.execute(self.unblock.sql, (job,)).rowcount:
                    row = cursor.execute(self.unblocked.sql, (job,)).fetchone()
                    if row is not None and (row[-1] is None or row[-1] <= now):
                        cursor.execute(self.delete_waiting.sql, (job,))
                        cursor.execute(self.insert_ready.sql, row[:-1])
                        return True
            case Cancel(job, reason):
                self.cancel(cursor, job, reason, now)
            case Dispatch(job):
                fresh = self.unknown(cursor, [job])
                return bool(fresh) and self.insert(cursor, fresh, now)
        return False

    def cancel(self, cursor: Any, job_id: bytes, reason: str, now: int) -> bool:
        """Cancel what has not started; mark what runs. False where it is neither."""
        unstarted = cursor.execute(self.unstarted.sql, (job_id, job_id)).fetchone()
        if unstarted is None:
            return bool(cursor.execute(self.mark_cancelling.sql, (job_id,)).rowcount)
        cursor.execute(self.delete_unclaimed.sql, (job_id,))
        cursor.execute(self.delete_waiting.sql, (job_id,))
        row = cancelled_row(job_id, reason, attempts=unstarted[0], now=now)
        cursor.execute(self.insert_outcome.sql, row)
        return True

    def _again(self, cursor: Any, move: Transition) -> bool:
        queue, isolation, rank = cursor.execute(
            "SELECT queue, isolation, rank FROM job_records WHERE id = ?", (move.id,)
        ).fetchone()
        if move.crashes:
            isolation = "process"
        counters = (move.attempts, move.exceptions, move.crashes)
        if move.due_at is None:
            cursor.execute(self.insert_ready.sql, (move.id, queue, isolation, rank, *counters))
            return True
        row = (move.id, queue, isolation, rank, *counters, move.due_at, 0)
        cursor.execute(self.insert_waiting.sql, row)
        return False


def _insert(cursor: Any, sql: str, rows: list[Any]) -> None:
    if len(rows) == 1:
        cursor.execute(sql, rows[0])  # half the price of executemany for one
    elif rows:
        cursor.executemany(sql, rows)


def split(jobs: Sequence[NewJob], now: int) -> tuple[list[Any], list[Any]]:
    """Rows for `job_ready` and for `job_waiting`."""
    ready_rows: list[Any] = []
    waiting_rows: list[Any] = []
    for job in jobs:
        row = (job.id, job.queue, job.isolation.value, -job.priority, 0, 0, 0)
        if job.blockers or (job.due_at is not None and job.due_at > now):
            waiting_rows.append((*row, job.due_at, job.blockers))
        else:
            ready_rows.append(row)
    return ready_rows, waiting_rows


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
        None if made.unit is None else storable(made.unit, limit=400),
        None if made.message is None else storable(made.message, limit=4_000),
        min(made.warnings, LARGEST),
    )


def cancelled_row(job_id: bytes, reason: str, *, attempts: int, now: int) -> tuple[Any, ...]:
    """The outcome of a job that was called back before it started, or between two attempts."""
    error = encode(ErrorInfo("JobCancelled", reason)).decode()
    return (job_id, attempts, None, Ending.CANCELLED.value, None, None, now, error, None)


_WORK = ("id", "queue", "isolation", "rank", "attempts", "exceptions", "crashes")


def _record_row(job: NewJob) -> tuple[Any, ...]:
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


def _names(table: Any) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


KnownId = sqlite3.IntegrityError
