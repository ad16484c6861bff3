"""The statements on the path of every job, as InnoDB runs them fastest: sets, by primary key, and
as many as possible in one round trip, for a turn of few jobs costs little else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
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
from tabur.drivers.database.store import AtOnce, Hot, Look
from tabur.drivers.database.stores.mysql.literals import Result, inserts, listed, literal, run
from tabur.drivers.database.stores.mysql.marks import Marks, Place
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation

#: A queue, an isolation, and a row of _LOCK.
_Taken = tuple[str, Isolation, Row]


class MySQLHot(Hot):
    def __init__(self) -> None:
        self._marks = Marks()

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        to_ready, to_waiting = split(jobs, now)
        statements = [
            *inserts("job_records", RECORD, map(record_row, jobs)),
            *inserts("job_ready", WORK, to_ready),
            *inserts("job_waiting", WAIT, to_waiting),
        ]
        run(cursor, statements)
        return bool(to_ready)

    def complete(self, cursor: Any, moves: Sequence[Transition]) -> bool:
        return _all_held(run(cursor, _completing(moves)), moves)

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

    knows_at_once = True

    def at_once(
        self, cursor: Any, turn: Exchange, now: int, counts: Mapping[bytes, int]
    ) -> AtOnce | None:
        """In two round trips, or one where there is nothing to settle and to claim; in three where
        batches are counted."""
        if not turn.settle:
            look = self.look(cursor, turn)
            if not (turn.slots and look.claimable) or _is_due(look.next_due, now):
                return AtOnce(settled=True, claimed=[], next_due=look.next_due)
        try:
            return self._at_once(cursor, turn, now, counts)
        except BaseException:
            self._marks.forget()
            with suppress(Exception):  # it may be the connection that has failed
                cursor.execute("ROLLBACK")
            raise

    def claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        free = _slots(turn)
        taken = [each for queue in turn.queues for each in self._lock(cursor, queue, free)[1]]
        return _claimed(turn, taken, run(cursor, _taking(turn, taken, now))) if taken else []

    def put_back(self) -> None:
        self._marks.forget()

    def _at_once(
        self, cursor: Any, turn: Exchange, now: int, counts: Mapping[bytes, int]
    ) -> AtOnce | None:
        free = _slots(turn)
        first, rest = turn.queues[:1], turn.queues[1:]
        settling = ["BEGIN", f"SELECT {_NEXT_DUE}", *_completing(turn.settle)]
        results, taken = self._lock(cursor, first[0] if first else "", free, before=settling)
        ((next_due,),) = results[1].rows
        if not _all_held(results[2:], turn.settle):
            self._marks.forget()
            cursor.execute("ROLLBACK")
            return None if counts else AtOnce(settled=False, claimed=[], next_due=next_due)
        if _is_due(next_due, now):
            self._marks.forget()
            taken = []
        else:
            taken += [each for queue in rest for each in self._lock(cursor, queue, free)[1]]
        taking = _taking(turn, taken, now)
        if not counts:
            results = run(cursor, [*taking, "COMMIT"])
        else:
            results = run(cursor, [*taking, *_counting(counts)])
            if any(each.changed != 1 for each in results[len(taking) :]):
                self._marks.forget()
                cursor.execute("ROLLBACK")
                return None
            cursor.execute("COMMIT")
        return AtOnce(settled=True, claimed=_claimed(turn, taken, results), next_due=next_due)

    def _lock(
        self, cursor: Any, queue: str, free: dict[Isolation, int], *, before: Sequence[str] = ()
    ) -> tuple[list[Result], list[_Taken]]:
        """Lock the first free rows of a queue, as many as there is room for, and count them off;
        in the same round trip as the statements `before`, whose results come first."""
        kinds = list(free)
        marks = [self._marks.behind((queue, kind.value)) for kind in kinds]
        statements = [*before]
        for kind, mark in zip(kinds, marks, strict=True):
            statements += [_more_urgent(queue, kind, mark), _locking(queue, kind, free[kind], mark)]
        results = run(cursor, statements)
        locked = results[len(before) :]
        taken = []
        for kind, urgent, found in zip(kinds, locked[::2], locked[1::2], strict=True):
            rows, room = found.rows, free[kind]
            if urgent.rows[0][0]:
                rows = run(cursor, [_locking(queue, kind, room, None)])[0].rows
            places = [(rank, seq) for rank, seq, *_ in rows]
            self._marks.claimed((queue, kind.value), places, room=room)
            taken += [(queue, kind, row) for row in rows]
            free[kind] -= len(rows)
            if not free[kind]:
                del free[kind]
        return results[: len(before)], taken


def _slots(turn: Exchange) -> dict[Isolation, int]:
    return {kind: room for kind, room in turn.slots.items() if room > 0}


def _is_due(next_due: int | None, now: int) -> bool:
    return next_due is not None and next_due <= now


def _completing(moves: Sequence[Transition]) -> list[str]:
    """Ends the claims, and then appends the outcomes."""
    # By claim, and all of a claim share its token: a list of pairs costs twice as much.
    claims: dict[bytes, list[bytes]] = {}
    for each in moves:
        claims.setdefault(each.token, []).append(each.id)
    return [
        *(
            _END_CLAIM.format(ids=listed(ids), token=literal(token))
            for token, ids in claims.items()
        ),
        *inserts("job_outcomes", OUTCOME, map(outcome_row, moves)),
    ]


def _all_held(results: Sequence[Result], moves: Sequence[Transition]) -> bool:
    """Each claim was ended and each outcome written."""
    return sum(each.changed for each in results) == 2 * len(moves)


def _taking(turn: Exchange, taken: Sequence[_Taken], now: int) -> list[str]:
    """Claims what was locked, and reads what it is."""
    if not taken:
        return []
    seqs = listed(row[1] for _, _, row in taken)
    ids = listed(row[2] for _, _, row in taken)
    token, worker = literal(turn.token), literal(turn.worker)
    return [
        _TAKE.format(token=token, worker=worker, now=now, seqs=seqs),
        _RECORDS.format(ids=ids),
    ]


def _counting(counts: Mapping[bytes, int]) -> list[str]:
    return [
        _GO_ON.format(batch=literal(batch_id), done=done)
        for batch_id, done in sorted(counts.items())
    ]


def _claimed(
    turn: Exchange, taken: Sequence[_Taken], results: Sequence[Result]
) -> list[ClaimedJob]:
    """With the results of `_taking`."""
    if not taken:
        return []
    records = {row[0]: row[1:] for row in results[1].rows}
    claimed = []
    for queue, kind, (_, _, job_id, *counters) in taken:
        name, payload, created_at, *rest = records[job_id]
        job = (payload, created_at, *counters, *rest, turn.token)
        claimed.append(ClaimedJob(job_id, name, queue, kind, *job))
    return claimed


def _locking(queue: str, kind: Isolation, room: int, mark: Place | None) -> str:
    behind = "" if mark is None else _BEHIND.format(*mark)
    return _LOCK.format(free=_free(queue, kind), behind=behind, room=room)


def _more_urgent(queue: str, kind: Isolation, mark: Place | None) -> str:
    if mark is None:
        return "SELECT 0"
    return _MORE_URGENT.format(free=_free(queue, kind), rank=mark[0])


def _free(queue: str, kind: Isolation) -> str:
    """`worker IS NULL` is one place in the index, and what stands there is in order: nothing is
    sorted, so that only what is taken is locked."""
    return (
        "FROM job_ready FORCE INDEX (job_ready_claim)"
        f" WHERE worker IS NULL AND queue = {literal(queue)} AND isolation = {literal(kind.value)}"
    )


_NEXT_DUE = "(SELECT min(due_at) FROM job_waiting WHERE blockers = 0)"
_LOCK = """
    SELECT `rank`, seq, id, attempts, exceptions, crashes {free} {behind}
     ORDER BY `rank`, seq LIMIT {room} FOR UPDATE SKIP LOCKED
"""
#: Whether there is a row of a higher priority. Backwards: forwards it would walk over the rows of
#: the next rank that are to be purged, to see where this one ends.
_MORE_URGENT = """
    SELECT count(*) FROM (SELECT seq {free} AND `rank` < {rank}
                           ORDER BY `rank` DESC, seq DESC LIMIT 1) urgent
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
_GO_ON = """
    UPDATE job_batches SET pending_jobs = pending_jobs - {done}
     WHERE id = {batch} AND pending_jobs > {done}
"""
