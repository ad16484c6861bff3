"""The statements on the path of every job, as InnoDB runs them fastest: sets, by primary key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

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
from tabur.drivers.database.schema import records
from tabur.drivers.database.store import Hot, Look
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation

if TYPE_CHECKING:
    from tabur.drivers.database.stores.mysql.store import MySQLStore


class MySQLHot(Hot):
    def __init__(self, store: MySQLStore) -> None:
        self._insert_record = store.prepare(insert(records), *RECORD)
        self._insert_ready = insert_ready(store)
        self._insert_waiting = insert_waiting(store)
        self._insert_outcome = insert_outcome(store)

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        self._insert_record.many(cursor, [record_row(job) for job in jobs])
        to_ready, to_waiting = split(jobs, now)
        self._insert_ready.many(cursor, to_ready)
        self._insert_waiting.many(cursor, to_waiting)
        return bool(to_ready)

    def complete(self, cursor: Any, moves: Sequence[Transition]) -> bool:
        if not moves:
            return True
        claims = [value for each in moves for value in (each.id, each.token)]
        pairs = ", ".join(["(%s, %s)"] * len(moves))
        ids = [each.id for each in moves]
        cursor.execute(
            f"DELETE y FROM job_ready y FORCE INDEX (id) WHERE y.id IN ({_marks(ids)})"
            f" AND (y.id, y.token) IN ({pairs})",
            (*ids, *claims),
        )
        if cursor.rowcount != len(moves):
            return False
        self._insert_outcome.many(cursor, [outcome_row(each) for each in moves])
        return True

    def look(self, cursor: Any, turn: Exchange) -> Look:
        lanes = [
            (queue, kind.value)
            for queue in turn.queues
            for kind, room in turn.slots.items()
            if room
        ]
        claimable = " OR ".join([f"EXISTS ({_PEEK})"] * len(lanes)) or "0"
        cursor.execute(
            f"SELECT (SELECT min(due_at) FROM job_waiting WHERE blockers = 0), {claimable}",
            tuple(value for lane in lanes for value in lane),
        )
        next_due, found = cursor.fetchone()
        return Look(claimable=bool(found), next_due=next_due)

    def claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        free = {kind: room for kind, room in turn.slots.items() if room > 0}
        taken: list[tuple[str, Isolation, Any]] = []
        for queue in turn.queues:
            for kind in list(free):
                cursor.execute(_CANDIDATES, (queue, kind.value, free[kind]))
                rows = cursor.fetchall()
                taken += [(queue, kind, row) for row in rows]
                free[kind] -= len(rows)
                if not free[kind]:
                    del free[kind]
        if not taken:
            return []
        seqs = [row[0] for _, _, row in taken]
        ids = [row[1] for _, _, row in taken]
        cursor.execute(
            "UPDATE job_ready FORCE INDEX (PRIMARY) SET token = %s, worker = %s, claimed_at = %s"
            f" WHERE seq IN ({_marks(seqs)})",
            (turn.token, turn.worker, now, *seqs),
        )
        cursor.execute(f"{_RECORDS} WHERE id IN ({_marks(ids)})", ids)
        records = {row[0]: row[1:] for row in cursor.fetchall()}
        claimed = []
        for queue, kind, (_, job_id, *counters) in taken:
            name, payload, created_at, *rest = records[job_id]
            run = (payload, created_at, *counters, *rest, turn.token)
            claimed.append(ClaimedJob(job_id, name, queue, kind, *run))
        return claimed


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


_PEEK = (
    "SELECT 1 FROM job_ready FORCE INDEX (job_ready_claim)"
    " WHERE queue = %s AND isolation = %s AND token IS NULL"
)
#: `token IS NULL` is one place in the index, and what stands there is in order: nothing is sorted,
#: so that only what is taken is locked.
_CANDIDATES = """
    SELECT seq, id, attempts, exceptions, crashes FROM job_ready FORCE INDEX (job_ready_claim)
     WHERE queue = %s AND isolation = %s AND token IS NULL
     ORDER BY `rank`, seq LIMIT %s FOR UPDATE SKIP LOCKED
"""
_RECORDS = """
    SELECT id, name, payload, created_at, options, tenant, user_id, locale
      FROM job_records FORCE INDEX (PRIMARY)
"""
