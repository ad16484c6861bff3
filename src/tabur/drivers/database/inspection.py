"""Reading, for people and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabur.drivers.contract import Filter
from tabur.drivers.database.selection import decode_error, jobs, record
from tabur.drivers.database.sqlite import SqliteFile
from tabur.model.records import Attachment, Attempt, JobRecord, QueueSize


class DatabaseInspection:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def find(self, job_id: bytes) -> JobRecord | None:
        query, _ = jobs(Filter(), payload=True)
        rows = self._rows(f"{query} AND r.id = :id", {"id": job_id})
        return record(rows[0]) if rows else None

    def list(self, which: Filter, *, limit: int, after: bytes | None = None) -> Sequence[JobRecord]:
        query, values = jobs(which)
        if after is not None:
            query += " AND r.id < :after"
            values["after"] = after
        query += " ORDER BY r.id DESC LIMIT :limit"
        return [record(row) for row in self._rows(query, {**values, "limit": limit})]

    def count(self, which: Filter, *, at_most: int) -> int:
        query, values = jobs(which)
        limited = f"SELECT count(*) FROM ({query} LIMIT :at_most)"
        counted: int = self._rows(limited, {**values, "at_most": at_most})[0][0]
        return counted

    def queues(self) -> Sequence[QueueSize]:
        return [QueueSize(*row) for row in self._rows(_QUEUES, {})]

    def attempts(self, job_id: bytes) -> Sequence[Attempt]:
        return [
            Attempt(attempt, ending, started_at, ended_at, worker, decode_error(error))
            for attempt, ending, started_at, ended_at, worker, error in self._rows(
                _ATTEMPTS, {"id": job_id}
            )
        ]

    def attachments(self, job_id: bytes) -> Sequence[Attachment]:
        return [Attachment(*row) for row in self._rows(_ATTACHMENTS, {"id": job_id})]

    def _rows(self, query: str, values: dict[str, Any]) -> Sequence[tuple[Any, ...]]:
        with self._file.read() as connection:
            return connection.execute(query, values).fetchall()


_QUEUES = """
    SELECT queue, sum(pending), sum(scheduled), sum(blocked), sum(processing), min(oldest)
      FROM (SELECT y.queue, y.token IS NULL AS pending, 0 AS scheduled, 0 AS blocked,
                   y.token IS NOT NULL AS processing,
                   CASE WHEN y.token IS NULL THEN r.created_at END AS oldest
              FROM job_ready y JOIN job_records r ON r.id = y.id
             UNION ALL
            SELECT queue, 0, blockers = 0, blockers > 0, 0, NULL FROM job_waiting)
     GROUP BY queue ORDER BY queue
"""
_ATTEMPTS = """
    SELECT attempt, ending, started_at, ended_at, worker, error
      FROM job_outcomes WHERE id = :id ORDER BY seq
"""
_ATTACHMENTS = """
    SELECT n, name, size, media_type, path FROM job_attachments WHERE id = :id ORDER BY n
"""
