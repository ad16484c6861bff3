"""Schedules and their ticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from tabur.drivers.database.admission import Admission, KnownJob, is_bound
from tabur.drivers.database.rows import LARGEST, Rows, names
from tabur.drivers.database.schema import schedules, ticks
from tabur.drivers.database.statements import ONE, first
from tabur.drivers.database.store import Store, Transaction
from tabur.errors import ConfigError
from tabur.model.records import NewJob
from tabur.model.schedules import (
    Advance,
    Decision,
    DueSchedules,
    Origin,
    ScheduleRecord,
    Tick,
    check_name,
    check_record,
    checked,
)

P = bindparam

#: Ticks removed in one transaction.
CHUNK = 500

#: As `Rows.insert`: new jobs, under the moment that it is.
Insert = Callable[[Any, Sequence[NewJob], int], bool]


class DatabaseSchedules:
    """What changes something is not repeated where its answer was lost: the second time it would
    tell that another one was first."""

    def __init__(self, store: Store, rows: Rows, admission: Admission) -> None:
        self._store = store
        self._rows = rows
        self._admission = admission
        self._sql = _Statements(store)

    def put(self, schedules: Sequence[ScheduleRecord], *, origin: Origin | None = None) -> int:
        for each in schedules:
            check_record(each)

        def put(cursor: Any) -> int:
            changed = sum(self._put(cursor, each) for each in schedules)
            if origin is not None:
                kept = {each.name for each in schedules}
                there = self._sql.of_origin.all(cursor, origin.value)
                gone = sorted(name for (name,) in there if name not in kept)
                self._sql.delete.many(cursor, [(name,) for name in gone])
            return changed

        return self._store.transact(lambda tx: put(tx.cursor), repeat=False)

    def due(self, *, limit: int) -> DueSchedules:
        now = self._store.now()
        with self._store.read() as cursor:
            due = self._sql.due.all(cursor, now, limit)
            later = self._sql.next_due.one(cursor, now)
        return DueSchedules(now, tuple(map(_record, due)), later[0] if later else None)

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        fitting = [checked(move) for move in moves]

        def advance(insert: Insert) -> Sequence[bool]:
            now = self._store.now()
            return self._store.transact(
                lambda tx: self._advance(tx, fitting, insert, now), repeat=False
            )

        try:
            try:
                return advance(self._insert)
            except (self._store.KnownId, KnownJob):
                return advance(self._insert_unknown)  # rare: only then each id is looked up
        except self._store.DataErrors as error:
            raise ConfigError(
                f"A job of {', '.join(repr(move.schedule) for move in fitting[:9])} cannot be "
                f"stored in {self._store}: {error}"
            ) from None

    def find(self, name: str) -> ScheduleRecord | None:
        check_name(name)
        with self._store.read() as cursor:
            row = self._sql.find.one(cursor, name)
        return None if row is None else _record(row)

    def list(self, *, limit: int, after: str = "") -> Sequence[ScheduleRecord]:
        if after:
            check_name(after)
        with self._store.read() as cursor:
            return [_record(row) for row in self._sql.page.all(cursor, after, limit)]

    def delete(self, name: str) -> bool:
        check_name(name)
        gone = self._store.alone(lambda cursor: self._sql.delete.run(cursor, name), repeat=False)
        return gone > 0

    def ticks(
        self, schedule: str | None, *, limit: int, before: int | None = None, below: str = ""
    ) -> Sequence[Tick]:
        if below:
            check_name(below)
        bound = LARGEST if before is None else before
        place = (bound, bound, below, limit)
        with self._store.read() as cursor:
            if schedule is None:
                rows = self._sql.ticks.all(cursor, *place)
            else:
                check_name(schedule)
                rows = self._sql.ticks_of.all(cursor, schedule, *place)
        return [_tick(row) for row in rows]

    def prune(self, *, before: int, limit: int) -> int:
        pruned = 0
        while pruned < limit:
            count = min(CHUNK, limit - pruned)
            with self._store.read() as cursor:
                old = self._sql.oldest.all(cursor, before, count)
            pruned += self._store.transact(partial(self._delete_ticks, old))
            if len(old) < count:
                break
        return pruned

    def _delete_ticks(self, ticks: Sequence[Any], tx: Transaction) -> int:
        return self._sql.delete_tick.many(tx.cursor, ticks)

    # in one transaction

    def _insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        if not is_bound(jobs):
            return self._rows.insert(cursor, jobs, now)
        return self._admission.dispatch(cursor, jobs, (), now, put=self._rows.insert).woken

    def _insert_unknown(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        return self._insert(cursor, self._admission.unknown(cursor, jobs, ())[0], now)

    def _put(self, cursor: Any, given: ScheduleRecord) -> bool:
        row = _row(given)
        if given.revision == 1:
            return self._sql.insert.run(cursor, *row) == 1
        changed = [row[_COLUMNS.index(name)] for name in _CHANGED]
        return self._sql.change.run(cursor, *changed, given.name, given.revision - 1) == 1

    def _advance(
        self, tx: Transaction, moves: Sequence[Advance], insert: Insert, now: int
    ) -> Sequence[bool]:
        answers = [False] * len(moves)
        named: set[bytes | None] = set()
        # Locked in one order, whoever comes with them in which.
        for n in sorted(range(len(moves)), key=lambda n: moves[n].schedule):
            decided = self._move(tx.cursor, moves[n])
            if decided is not None:
                answers[n] = True
                named.update(decided)
        made = [move for move, answer in zip(moves, answers, strict=True) if answer]
        jobs = [job for move in made for job in move.jobs if job.id in named]
        if jobs:
            tx.woken = insert(tx.cursor, jobs, now)
        return answers

    def _move(self, cursor: Any, move: Advance) -> set[bytes | None] | None:
        """Move one on. Answers the jobs of its new ticks; None where it stands otherwise."""
        stands = self._sql.stands.one(cursor, move.schedule, move.revision, move.seen)
        if stands is None:
            return None
        last_run_at, last_job = stands
        new = [tick for tick in move.ticks if self._sql.put_tick.run(cursor, *_tick_row(tick)) == 1]
        for tick in new:
            if tick.decision is Decision.DISPATCHED:
                last_run_at, last_job = tick.due_at, tick.job
        self._sql.move.run(
            cursor, move.next_run_at, last_run_at, move.waiting, last_job, move.schedule
        )
        return {tick.job for tick in new}


_COLUMNS = names(schedules)
#: What people and code change; the rest is changed by ticks.
_CHANGED = (
    *("origin", "definition", "cron_expression", "timezone"),
    *("next_run_at", "is_active", "waiting", "revision"),
)


def _row(record: ScheduleRecord) -> tuple[Any, ...]:
    return (
        record.name,
        record.origin.value,
        record.definition,
        record.cron_expression,
        record.timezone,
        record.next_run_at,
        record.last_run_at,
        int(record.is_active),
        record.waiting,
        record.last_job,
        record.revision,
    )


def _record(row: tuple[Any, ...]) -> ScheduleRecord:
    fields = dict(zip(_COLUMNS, row, strict=True))
    return ScheduleRecord(
        **(fields | {"origin": Origin(fields["origin"]), "is_active": bool(fields["is_active"])})
    )


def _tick_row(tick: Tick) -> tuple[Any, ...]:
    return (
        tick.schedule,
        tick.due_at,
        tick.decision.value,
        tick.decided_at,
        tick.reason,
        tick.job,
        tick.scheduler,
    )


def _tick(row: tuple[Any, ...]) -> Tick:
    schedule, due_at, decision, *rest = row
    return Tick(schedule, due_at, Decision(decision), *rest)


class _Statements:
    """Compiled once. The hints are for MariaDB, which would rather read a whole table and sort it
    where it does not know how much there is."""

    def __init__(self, store: Store) -> None:
        s, t = schedules.c, ticks.c
        active = s.is_active == ONE
        by_due = "FORCE INDEX (job_schedules_due)"
        self.insert = store.prepare(store.ignoring_known(insert(schedules)), *_COLUMNS)
        self.change = store.prepare(
            update(schedules)
            .where(s.name == P("which"), s.revision == P("stored"))
            .values({name: P(name) for name in _CHANGED}),
            *_CHANGED,
            "which",
            "stored",
        )
        self.of_origin = store.prepare(select(s.name).where(s.origin == P("origin")), "origin")
        self.delete = store.prepare(delete(schedules).where(s.name == P("which")), "which")
        self.find = store.prepare(select(*s).where(s.name == P("which")), "which")
        self.page = store.prepare(
            first(select(*s).where(s.name > P("after")).order_by(s.name), P("n")), "after", "n"
        )
        self.due = store.prepare(
            first(
                select(*s)
                .where(active, s.next_run_at <= P("now"))
                .order_by(s.next_run_at, s.name)
                .with_hint(schedules, by_due, "mysql"),
                P("n"),
            ),
            "now",
            "n",
        )
        self.next_due = store.prepare(
            first(
                select(s.next_run_at)
                .where(active, s.next_run_at > P("now"))
                .order_by(s.next_run_at)
                .with_hint(schedules, by_due, "mysql"),
                ONE,
            ),
            "now",
        )
        self.stands = store.prepare(
            select(s.last_run_at, s.last_job)
            .where(
                s.name == P("which"),
                s.revision == P("revision"),
                s.next_run_at == P("seen"),
                active,
            )
            .with_for_update(),
            "which",
            "revision",
            "seen",
        )
        self.move = store.prepare(
            update(schedules)
            .where(s.name == P("which"))
            .values(
                next_run_at=P("next"),
                waiting=P("waits"),
                last_run_at=P("ran"),
                last_job=P("job"),
            ),
            *("next", "ran", "waits", "job", "which"),
        )
        self.put_tick = store.prepare(store.ignoring_known(insert(ticks)), *names(ticks))
        earlier = (t.due_at <= P("bound"), or_(t.due_at < P("before"), t.schedule < P("below")))
        place = ("bound", "before", "below", "n")
        self.ticks = store.prepare(
            first(
                select(*t)
                .where(*earlier)
                .order_by(t.due_at.desc(), t.schedule.desc())
                .with_hint(ticks, "FORCE INDEX (job_ticks_due)", "mysql"),
                P("n"),
            ),
            *place,
        )
        self.ticks_of = store.prepare(
            first(
                select(*t)
                .where(t.schedule == P("which"), *earlier)
                .order_by(t.due_at.desc())
                .with_hint(ticks, "FORCE INDEX (PRIMARY)", "mysql"),
                P("n"),
            ),
            "which",
            *place,
        )
        self.oldest = store.prepare(
            first(
                select(t.schedule, t.due_at)
                .where(t.due_at < P("before"))
                .order_by(t.due_at, t.schedule)
                .with_hint(ticks, "FORCE INDEX (job_ticks_due)", "mysql"),
                P("n"),
            ),
            "before",
            "n",
        )
        self.delete_tick = store.prepare(
            delete(ticks).where(t.schedule == P("which"), t.due_at == P("at")), "which", "at"
        )
