"""Reading, for people and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select

from tabur.drivers.contract import Filter
from tabur.drivers.database.schema import cursors, ready, records
from tabur.drivers.database.selection import COLUMNS, STATE, decode_error, jobs, record
from tabur.drivers.database.statements import ONE, Prepared, Row, first, literal
from tabur.drivers.database.store import Store
from tabur.model.clock import SECOND
from tabur.model.records import Attachment, Attempt, Backlog, JobRecord, QueueSize
from tabur.model.states import Isolation

_LISTED = COLUMNS.format(state=STATE)


class DatabaseInspection:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._prepared: dict[str, Prepared] = {}
        """By text; there are as many as filters have shapes."""
        self._backlog = _backlog(store)
        self._cursor = store.prepare(
            select(cursors.c.cursor).where(cursors.c.id == bindparam("job")), "job"
        )

    def find(self, job_id: bytes) -> JobRecord | None:
        query, _, _ = jobs(Filter(), f"{_LISTED}, r.payload")
        rows = self._rows(f"{query} AND r.id = :id", id=job_id)
        return record(rows[0]) if rows else None

    def list(self, which: Filter, *, limit: int, after: bytes | None = None) -> Sequence[JobRecord]:
        query, values, place = jobs(which, _LISTED, above=self._above(which))
        if after is not None:
            query += f" AND {place} < :after"
            values["after"] = after
        query += f" ORDER BY {place} DESC LIMIT :limit"
        return [record(row) for row in self._rows(query, **values, limit=limit)]

    def count(self, which: Filter, *, at_most: int) -> int:
        query, values, _ = jobs(which, "r.id", above=self._above(which))
        limited = f"SELECT count(*) FROM ({query} LIMIT :at_most) matched"
        counted: int = self._rows(limited, **values, at_most=at_most)[0][0]
        return counted

    def queues(self) -> Sequence[QueueSize]:
        return [
            QueueSize(queue, int(pending), int(scheduled), int(blocked), int(processing), oldest)
            for queue, pending, scheduled, blocked, processing, oldest in self._rows(_QUEUES)
        ]

    def backlog(self, queue: str, *, at_most: int) -> Backlog:
        with self._store.read() as cursor:
            ((pending, *heads),) = self._backlog.all(cursor, queue, at_most, *[queue] * _LANES)
        return Backlog(pending, min((each for each in heads if each is not None), default=None))

    def attempts(self, job_id: bytes) -> Sequence[Attempt]:
        return [
            Attempt(attempt, ending, started_at, ended_at, worker, decode_error(error))
            for attempt, ending, started_at, ended_at, worker, error in self._rows(
                _ATTEMPTS, id=job_id
            )
        ]

    def attachments(self, job_id: bytes) -> Sequence[Attachment]:
        return [Attachment(*row) for row in self._rows(_ATTACHMENTS, id=job_id)]

    def cursor(self, job_id: bytes) -> bytes | None:
        with self._store.read() as cursor:
            row = self._cursor.one(cursor, job_id)
        return None if row is None else row[0]

    def _above(self, which: Filter) -> int | None:
        """A number that the outcomes of a filter's time are above, where it has one: moments have
        no index, but rise with the numbers, give or take how long a settle takes. It is looked for
        backwards, by twice as far each time."""
        if which.ended_since is None:
            return None
        top = self._rows(_LATEST)[0][0]
        above, step = top, 100
        while above > 0:
            above = max(0, top - step)
            latest = self._rows(_LATEST_OF_A_FEW, above=above)[0][0]
            if latest is None or latest < which.ended_since - _LATE:
                break
            step *= 2
        return int(above)

    def _rows(self, query: str, **values: Any) -> Sequence[Row]:
        """Rows of a text whose parameters stand in it in the order of `values`."""
        prepared = self._prepared.get(query)
        if prepared is None:
            prepared = self._prepared[query] = self._store.prepare(query, *values)
        with self._store.read_anew() as cursor:
            return prepared.all(cursor, *values.values())


_QUEUES = """
    SELECT n.queue, sum(n.pending), sum(n.scheduled), sum(n.blocked), sum(n.processing),
           min(n.oldest)
      FROM (SELECT y.queue AS queue, CASE WHEN y.token IS NULL THEN 1 ELSE 0 END AS pending,
                   0 AS scheduled, 0 AS blocked,
                   CASE WHEN y.token IS NULL THEN 0 ELSE 1 END AS processing,
                   CASE WHEN y.token IS NULL THEN r.created_at END AS oldest
              FROM job_ready y JOIN job_records r ON r.id = y.id
             UNION ALL
            SELECT w.queue, 0, CASE WHEN w.blockers = 0 THEN 1 ELSE 0 END,
                   CASE WHEN w.blockers = 0 THEN 0 ELSE 1 END, 0, NULL
              FROM job_waiting w) n
     GROUP BY n.queue ORDER BY n.queue
"""
#: How much later than its moment an outcome may come (microseconds).
_LATE = 60 * SECOND
_LATEST = "SELECT coalesce(max(seq), 0) FROM job_outcomes"
#: Of a few, since one alone may be of a job whose settle came late.
_LATEST_OF_A_FEW = """
    SELECT max(few.ended_at)
      FROM (SELECT ended_at FROM job_outcomes WHERE seq <= :above ORDER BY seq DESC LIMIT 20) few
"""
_ATTEMPTS = """
    SELECT attempt, ending, started_at, ended_at, worker, error
      FROM job_outcomes WHERE id = :id ORDER BY seq
"""
_ATTACHMENTS = """
    SELECT n, name, size, media_type, path FROM job_attachments WHERE id = :id ORDER BY n
"""


_LANES = len(Isolation)


def _backlog(store: Store) -> Prepared:
    """What is pending, and when the head of each kind of lane was dispatched. The index of claims
    alone is read for it, and a record each."""
    y, r = ready.c, records.c
    queue: BindParameter[str] = bindparam("queue")
    free = (y.queue == queue, y[store.words.unclaimed].is_(None))
    pending = first(select(y.seq).where(*free), bindparam("at_most")).subquery()
    heads = [
        first(
            select(r.created_at)
            .join_from(ready, records, y.id == r.id)
            .where(*free, y.isolation == literal(isolation))
            .order_by(y.rank, y.seq),
            ONE,
        )
        for isolation in Isolation
    ]
    return store.prepare(
        select(
            select(func.count()).select_from(pending).scalar_subquery(),
            *(each.scalar_subquery() for each in heads),
        ),
        *("queue", "at_most", *["queue"] * _LANES),
    )
