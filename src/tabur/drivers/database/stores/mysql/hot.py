"""The statements on the path of every job, as InnoDB runs them fastest: sets, by primary key."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from tabur.drivers.contract import Exchange
from tabur.drivers.database.rows import (
    OUTCOME,
    RECORD,
    WAIT,
    WORK,
    outcome_row,
    record_row,
    split,
)
from tabur.drivers.database.statements import Row
from tabur.drivers.database.store import Hot, Look
from tabur.drivers.database.stores.mysql.literals import insert_all, listed, literal
from tabur.drivers.database.stores.mysql.marks import Marks
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation


class MySQLHot(Hot):
    def __init__(self) -> None:
        self._marks = Marks()

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        to_ready, to_waiting = split(jobs, now)
        insert_all(cursor, "job_records", RECORD, [record_row(job) for job in jobs])
        insert_all(cursor, "job_ready", WORK, to_ready)
        insert_all(cursor, "job_waiting", WAIT, to_waiting)
        return bool(to_ready)

    def complete(self, cursor: Any, moves: Sequence[Transition]) -> bool:
        # By claim, and all of a claim share its token: a list of pairs costs twice as much.
        claims: dict[bytes, list[bytes]] = {}
        for each in moves:
            claims.setdefault(each.token, []).append(each.id)
        for token, ids in claims.items():
            cursor.execute(_END_CLAIM.format(ids=listed(ids), token=literal(token)))
            if cursor.rowcount != len(ids):
                return False
        insert_all(cursor, "job_outcomes", OUTCOME, [outcome_row(each) for each in moves])
        return True

    def look(self, cursor: Any, turn: Exchange) -> Look:
        lanes = [
            f"EXISTS (SELECT 1 {_free(queue, kind)})"
            for queue in turn.queues
            for kind, room in turn.slots.items()
            if room
        ]
        cursor.execute(f"SELECT {_NEXT_DUE}, {' OR '.join(lanes) or '0'}")
        next_due, claimable = cursor.fetchone()
        if claimable:
            self._marks.forget()  # it may stand before them
        return Look(claimable=bool(claimable), next_due=next_due)

    def claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        free = {kind: room for kind, room in turn.slots.items() if room > 0}
        taken: list[tuple[str, Isolation, Row]] = []
        for queue in turn.queues:
            for kind in list(free):
                rows = self._lock_free(cursor, queue, kind, free[kind])
                taken += [(queue, kind, row) for row in rows]
                free[kind] -= len(rows)
                if not free[kind]:
                    del free[kind]
        if not taken:
            return []
        cursor.execute(
            _TAKE.format(
                token=literal(turn.token),
                worker=literal(turn.worker),
                now=now,
                seqs=listed(row[1] for _, _, row in taken),
            )
        )
        cursor.execute(_RECORDS.format(ids=listed(row[2] for _, _, row in taken)))
        records = {row[0]: row[1:] for row in cursor.fetchall()}
        claimed = []
        for queue, kind, (_, _, job_id, *counters) in taken:
            name, payload, created_at, *rest = records[job_id]
            run = (payload, created_at, *counters, *rest, turn.token)
            claimed.append(ClaimedJob(job_id, name, queue, kind, *run))
        return claimed

    def put_back(self) -> None:
        self._marks.forget()

    def _lock_free(self, cursor: Any, queue: str, kind: Isolation, room: int) -> Sequence[Row]:
        lane = (queue, kind.value)
        behind = self._marks.behind(lane)
        if behind is not None and self._is_more_urgent(cursor, queue, kind, behind[0]):
            behind = None
        started = monotonic()
        cursor.execute(
            _LOCK_FREE.format(
                free=_free(queue, kind),
                behind="" if behind is None else _BEHIND.format(*behind),
                room=room,
            )
        )
        rows: Sequence[Row] = cursor.fetchall()
        places = [(rank, seq) for rank, seq, *_ in rows]
        self._marks.claimed(lane, places, room=room, took=monotonic() - started)
        return rows

    def _is_more_urgent(self, cursor: Any, queue: str, kind: Isolation, rank: int) -> bool:
        cursor.execute(_MORE_URGENT.format(free=_free(queue, kind), rank=rank))
        return cursor.fetchone() is not None


def _free(queue: str, kind: Isolation) -> str:
    """`worker IS NULL` is one place in the index, and what stands there is in order: nothing is
    sorted, so that only what is taken is locked."""
    return (
        "FROM job_ready FORCE INDEX (job_ready_claim)"
        f" WHERE worker IS NULL AND queue = {literal(queue)} AND isolation = {literal(kind.value)}"
    )


_NEXT_DUE = "(SELECT min(due_at) FROM job_waiting WHERE blockers = 0)"
_LOCK_FREE = """
    SELECT `rank`, seq, id, attempts, exceptions, crashes {free} {behind}
     ORDER BY `rank`, seq LIMIT {room} FOR UPDATE SKIP LOCKED
"""
#: Backwards: forwards it would walk over the purged-to-be rows of the next rank to see where it
#: ends.
_MORE_URGENT = """
    SELECT seq {free} AND `rank` < {rank} ORDER BY `rank` DESC, seq DESC LIMIT 1
"""
_BEHIND = "AND (`rank` = {0} AND seq > {1} OR `rank` > {0})"
_TAKE = """
    UPDATE job_ready FORCE INDEX (PRIMARY)
       SET token = {token}, worker = {worker}, claimed_at = {now} WHERE seq IN ({seqs})
"""
_RECORDS = """
    SELECT id, name, payload, created_at, options, tenant, user_id, locale
      FROM job_records FORCE INDEX (PRIMARY) WHERE id IN ({ids})
"""
#: In the form that takes a hint: a list longer than half the table would be read as the whole
#: table, and lock what others are at.
_END_CLAIM = """
    DELETE y FROM job_ready y FORCE INDEX (id) WHERE y.id IN ({ids}) AND y.token = {token}
"""
