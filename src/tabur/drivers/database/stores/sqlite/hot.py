"""The statements on the path of every job, as SQLite runs them fastest: row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from tabur.drivers.contract import Exchange
from tabur.drivers.database.rows import (
    RECORD,
    insert_outcome,
    insert_ready,
    insert_waiting,
    outcome_row,
    record_row,
    split,
)
from tabur.drivers.database.schema import ready, records, waiting
from tabur.drivers.database.statements import ONE, ZERO, first
from tabur.drivers.database.store import Hot, Look, Store
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob, NewJob

P = bindparam


class SqliteHot(Hot):
    def __init__(self, store: Store) -> None:
        y, r, w = ready.c, records.c, waiting.c
        prepare = store.prepare
        self._insert_record = prepare(insert(records), *RECORD)
        self._insert_ready = insert_ready(store)
        self._insert_waiting = insert_waiting(store)
        self._insert_outcome = insert_outcome(store)
        self._delete_ready = prepare(
            delete(ready).where(y.id == P("job"), y.token == P("held")), "job", "held"
        )
        self._next_due = prepare(select(func.min(w.due_at)).where(w.blockers == ZERO))
        free = (y.queue == P("q"), y.isolation == P("kind"), y.token.is_(None))
        self._peek = prepare(first(select(y.seq).where(*free), ONE), "q", "kind")
        self._candidates = prepare(
            first(
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
                .order_by(y.rank, y.seq),
                P("n"),
            ),
            "q",
            "kind",
            "n",
        )
        self._take = prepare(
            update(ready)
            .where(y.seq == P("row"))
            .values(token=P("fresh"), worker=P("who"), claimed_at=P("at")),
            "fresh",
            "who",
            "at",
            "row",
        )

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        self._insert_record.many(cursor, [record_row(job) for job in jobs])
        to_ready, to_waiting = split(jobs, now)
        self._insert_ready.many(cursor, to_ready)
        self._insert_waiting.many(cursor, to_waiting)
        return bool(to_ready)

    def complete(self, cursor: Any, moves: Sequence[Transition]) -> bool:
        held = self._delete_ready.many(cursor, [(each.id, each.token) for each in moves])
        if held != len(moves):
            return False
        self._insert_outcome.many(cursor, [outcome_row(each) for each in moves])
        return True

    def look(self, cursor: Any, turn: Exchange) -> Look:
        due = self._next_due.one(cursor)
        claimable = any(
            self._peek.one(cursor, queue, isolation.value)
            for queue in turn.queues
            for isolation, free in turn.slots.items()
            if free
        )
        return Look(claimable=claimable, next_due=due[0] if due else None)

    def claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        claimed: list[ClaimedJob] = []
        taken: list[tuple[Any, ...]] = []
        free = dict(turn.slots)
        for queue in turn.queues:
            for isolation, room in free.items():
                if room <= 0:
                    continue
                rows = self._candidates.all(cursor, queue, isolation.value, room)
                free[isolation] = room - len(rows)
                for seq, job_id, name, *rest in rows:
                    taken.append((turn.token, turn.worker, now, seq))
                    claimed.append(ClaimedJob(job_id, name, queue, isolation, *(*rest, turn.token)))
        self._take.many(cursor, taken)
        return claimed
