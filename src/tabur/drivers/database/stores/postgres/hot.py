"""The statements on the path of every job, as PostgreSQL runs them fastest: whole sets at once.

Each is one statement with arrays for parameters, so that its text, and its plan, are the same for
one job and for a thousand. Their joins are written so that the planner's guess for an array (ten
rows) leads to reading the indexes, whatever it knows of the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tabur.drivers.contract import Exchange
from tabur.drivers.database.rows import outcome_row, record_row, split
from tabur.drivers.database.store import AtOnce, Hot, Look
from tabur.drivers.database.stores.postgres.marks import Marks, Place
from tabur.model.bonds import Unique
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation


class PostgresHot(Hot):
    """`notifies_now` answers whether listeners are to be told, and takes it as done."""

    def __init__(self, notifies_now: Callable[[], bool]) -> None:
        self._notifies_now = notifies_now
        self._marks = Marks()

    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        to_ready, to_waiting = split(jobs, now)
        if len(to_ready) == 1 and not to_waiting:
            sql = _INSERT_ONE_AND_TELL if self._notifies_now() else _INSERT_ONE
            cursor.execute(sql, (*record_row(jobs[0]), *to_ready[0]))
            return False  # it has told already
        values = [
            *_columns([record_row(job) for job in jobs], _RECORD_WIDTH),
            *_columns(to_waiting, _WAIT_WIDTH),
            *_columns(to_ready, _WORK_WIDTH),
        ]
        cursor.execute(_INSERT_MANY, values)
        return bool(to_ready)

    def insert_unique(
        self, cursor: Any, job: NewJob, unique: Unique, now: int
    ) -> tuple[bool, bool]:
        """As `insert`, if its key is free; that is taken. Answers whether it was, and whether the
        job may be claimed at once."""
        ends_at = None if unique.window is None else now + unique.window
        to_ready, to_waiting = split([job], now)
        sql = _INSERT_UNIQUE if to_ready else _INSERT_UNIQUE_WAITING
        key = unique.key, job.id, now, ends_at
        cursor.execute(sql, (*key, *record_row(job), *(to_ready or to_waiting)[0]))
        is_in = bool(cursor.fetchone()[0])
        return is_in, is_in and bool(to_ready)

    def complete(self, cursor: Any, moves: Sequence[Transition]) -> bool:
        if not moves:
            return True
        cursor.execute(_COMPLETE, _columns([outcome_row(each) for each in moves], _OUTCOME_WIDTH))
        return bool(cursor.fetchone() == (len(moves),))

    def look(self, cursor: Any, turn: Exchange) -> Look:
        return Look(claimable=True, next_due=None)  # `at_once` is as cheap, and claims

    knows_at_once = True

    def at_once(
        self, cursor: Any, turn: Exchange, now: int, counts: Mapping[bytes, int]
    ) -> AtOnce | None:
        free = _free(turn)
        settle = _columns([outcome_row(each) for each in turn.settle], _OUTCOME_WIDTH)
        with self._marks.reading():
            first, rest = turn.queues[:1], turn.queues[1:]
            values = self._claim_values(turn, first[0] if first else "", free, now)
            if counts:
                whole = (*settle, *values, now, len(turn.settle))
                if not _counting(cursor, whole, counts):
                    return None
            else:
                cursor.execute(_AT_ONCE, (*settle, *values, now))
            rows = cursor.fetchall()
            settled, next_due = rows[0][:2]
            claimed: list[ClaimedJob] = []
            if next_due is not None and next_due <= now:
                self._marks.forget()  # it has not read
            else:
                found = rows if rows[0][2] is not None else []
                claimed = self._took(turn, first[0] if first else "", free, found)
                for queue in rest:
                    claimed += self._claim(cursor, turn, queue, free, now)
        return AtOnce(settled=settled == len(turn.settle), claimed=claimed, next_due=next_due)

    def claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        free = _free(turn)
        with self._marks.reading():
            return [
                job for queue in turn.queues for job in self._claim(cursor, turn, queue, free, now)
            ]

    def _claim(
        self, cursor: Any, turn: Exchange, queue: str, free: dict[str, int], now: int
    ) -> list[ClaimedJob]:
        if not free:
            return []
        cursor.execute(_CLAIM, self._claim_values(turn, queue, free, now))
        return self._took(turn, queue, free, [(0, None, *row) for row in cursor.fetchall()])

    def _claim_values(
        self, turn: Exchange, queue: str, free: dict[str, int], now: int
    ) -> tuple[Any, ...]:
        stretches = [
            (kind, *branch) for kind in free for branch in self._marks.branches(queue, kind)
        ]
        kinds = _columns(list(free.items()), 2)
        return (turn.token, turn.worker, now, *kinds, *_columns(stretches, 4), queue)

    def _took(
        self, turn: Exchange, queue: str, free: dict[str, int], rows: list[tuple[Any, ...]]
    ) -> list[ClaimedJob]:
        """Jobs in the order of their places; they are counted off from what is free."""
        rows.sort()
        claimed = []
        places: dict[str, list[Place]] = {kind: [] for kind in free}
        for _, _, kind, rank, seq, job_id, name, *rest in rows:
            places[kind].append((rank, seq))
            claimed.append(ClaimedJob(job_id, name, queue, Isolation(kind), *(*rest, turn.token)))
        for kind, taken in places.items():
            self._marks.claimed(queue, kind, taken, room=free[kind])
            free[kind] -= len(taken)
            if not free[kind]:
                del free[kind]
        return claimed

    def put_back(self) -> None:
        self._marks.forget()


def _counting(cursor: Any, values: Sequence[Any], counts: Mapping[bytes, int]) -> bool:
    """All claims or none, and then the batches, in one round trip; false where that cannot be."""
    connection = cursor.connection
    try:
        with connection.pipeline():
            connection.execute("BEGIN")
            cursor.execute(_ALL_AT_ONCE, values)
            for batch_id, done in sorted(counts.items()):
                connection.execute(_GO_ON, (done, batch_id, done))
            connection.execute("COMMIT")
    except BaseException as error:
        with suppress(Exception):  # it may be the connection that has failed
            connection.execute("ROLLBACK")
        if getattr(error, "sqlstate", None) == _DIVISION_BY_ZERO:
            return False
        raise
    return True


def _free(turn: Exchange) -> dict[str, int]:
    return {kind.value: room for kind, room in turn.slots.items() if room > 0}


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one list for each column."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * width


_RECORD = "id, name, queue, rank, isolation, payload, options, tenant, user_id, locale, created_at"
_RECORD_TYPES = "bytea text text int text bytea bytea text text text bigint"
_WORK = "id, queue, isolation, rank, attempts, exceptions, crashes"
_WORK_TYPES = "bytea text text int int int int"
_WAIT, _WAIT_TYPES = f"{_WORK}, due_at, blockers", f"{_WORK_TYPES} bigint int"
_OUTCOME = "id, attempt, token, ending, worker, started_at, ended_at, error, result"
_OUTCOME_TYPES = "bytea int bytea text text bigint bigint text bytea"


def _row(types: str) -> str:
    return ", ".join(f"%s::{each}" for each in types.split())


def _rows(types: str) -> str:
    return f"unnest({', '.join(f'%b::{each}[]' for each in types.split())})"


_RECORD_WIDTH, _WORK_WIDTH = len(_RECORD_TYPES.split()), len(_WORK_TYPES.split())
_WAIT_WIDTH, _OUTCOME_WIDTH = _WORK_WIDTH + 2, len(_OUTCOME_TYPES.split())

_INSERT_ONE = f"""
    WITH r AS (INSERT INTO job_records ({_RECORD}) VALUES ({_row(_RECORD_TYPES)}))
    INSERT INTO job_ready ({_WORK}) VALUES ({_row(_WORK_TYPES)})
"""
_INSERT_ONE_AND_TELL = f"""
    WITH r AS (INSERT INTO job_records ({_RECORD}) VALUES ({_row(_RECORD_TYPES)})),
         y AS (INSERT INTO job_ready ({_WORK}) VALUES ({_row(_WORK_TYPES)}))
    SELECT pg_notify('tabur', '')
"""
_INSERT_MANY = f"""
    WITH r AS (INSERT INTO job_records ({_RECORD}) SELECT * FROM {_rows(_RECORD_TYPES)}),
         w AS (INSERT INTO job_waiting ({_WAIT}) SELECT * FROM {_rows(_WAIT_TYPES)})
    INSERT INTO job_ready ({_WORK}) SELECT * FROM {_rows(_WORK_TYPES)}
"""
_INSERT_UNIQUE, _INSERT_UNIQUE_WAITING = (
    f"""
    WITH k AS (INSERT INTO job_uniques (key, job, since, ends_at)
               VALUES ({_row("bytea bytea bigint bigint")}) ON CONFLICT DO NOTHING RETURNING 1),
         r AS (INSERT INTO job_records ({_RECORD}) SELECT {_row(_RECORD_TYPES)} FROM k),
         w AS (INSERT INTO {table} ({columns}) SELECT {_row(types)} FROM k)
    SELECT count(*) FROM k
    """
    for table, columns, types in (
        ("job_ready", _WORK, _WORK_TYPES),
        ("job_waiting", _WAIT, _WAIT_TYPES),
    )
)
#: Deletes the claims that still hold and appends their outcomes.
_SETTLE = f"""
    e AS (SELECT * FROM {_rows(_OUTCOME_TYPES)} AS e({_OUTCOME})),
    gone AS (DELETE FROM job_ready y USING e WHERE y.id = e.id AND y.token = e.token RETURNING e.*),
    kept AS (INSERT INTO job_outcomes ({_OUTCOME}) SELECT * FROM gone RETURNING 1)
"""
#: The innermost select reads one stretch of the index; around it those of one kind, as many as
#: that kind has room for; around them all kinds.
_CLAIM_IF = """
    UPDATE job_ready y SET token = %s, worker = %s, claimed_at = %s
      FROM job_records r
     WHERE r.id = y.id AND y.ctid = ANY (ARRAY (
           SELECT free.ctid
             FROM unnest(%b::text[], %b::int[]) AS k(kind, room)
            CROSS JOIN LATERAL (
                  SELECT c.ctid
                    FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::int[])
                         AS b(kind, from_rank, from_seq, below_rank)
                   CROSS JOIN LATERAL (
                         SELECT c.ctid FROM job_ready c
                          WHERE c.queue = %s AND c.isolation = k.kind AND c.token IS NULL
                            AND (c.rank, c.seq) >= (b.from_rank, b.from_seq)
                            AND c.rank < b.below_rank
                          ORDER BY c.rank, c.seq LIMIT k.room
                            FOR UPDATE SKIP LOCKED) c
                   WHERE b.kind = k.kind
                   LIMIT k.room) free
            {condition}))
    RETURNING y.isolation, y.rank, y.seq, y.id, r.name, r.payload, r.created_at, y.attempts,
              y.exceptions, y.crashes, r.options, r.tenant, r.user_id, r.locale
"""
_CLAIM = _CLAIM_IF.format(condition="")
_CLAIM_UNLESS_DUE = _CLAIM_IF.format(
    condition="""
            WHERE NOT EXISTS (
                  SELECT 1 FROM job_waiting w WHERE w.blockers = 0 AND w.due_at <= %s)"""
)
_COMPLETE = f"WITH {_SETTLE} SELECT count(*) FROM kept"


def _at_once(settled: str) -> str:
    return f"""
    WITH {_SETTLE}, taken AS ({_CLAIM_UNLESS_DUE})
    SELECT (SELECT {settled} FROM kept),
           (SELECT due_at FROM job_waiting WHERE blockers = 0 ORDER BY due_at LIMIT 1), taken.*
      FROM (SELECT 1) one LEFT JOIN taken ON true
    """


_AT_ONCE = _at_once("count(*)")
#: Within one round trip nothing can be asked and then decided: where it is not so, it is an error.
_ALL_AT_ONCE = _at_once("count(*) / (count(*) = %s)::int")
_GO_ON = """
    WITH one AS (UPDATE job_batches SET pending_jobs = pending_jobs - %s::int
                  WHERE id = %s AND pending_jobs > %s::int RETURNING 1)
    SELECT 1 / count(*) FROM one
"""
_DIVISION_BY_ZERO = "22012"
