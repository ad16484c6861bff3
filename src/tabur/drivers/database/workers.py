"""Who works, and the signals to all of them."""

from __future__ import annotations

from collections.abc import Sequence

from tabur.drivers.database.sqlite import SqliteFile
from tabur.model.records import WorkerRecord


class DatabaseWorkers:
    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def register(self, worker: WorkerRecord) -> None:
        with self._file.write() as cursor:
            cursor.execute(
                "INSERT OR REPLACE INTO job_workers "
                "(id, supervisor, host, pid, queues, started_at, beats) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    worker.id,
                    worker.supervisor,
                    worker.host,
                    worker.pid,
                    ",".join(worker.queues),
                    worker.started_at,
                    worker.beats,
                ),
            )

    def beat(self, workers: Sequence[str]) -> None:
        with self._file.write() as cursor:
            cursor.executemany(
                "UPDATE job_workers SET beats = beats + 1 WHERE id = ?",
                [(worker,) for worker in workers],
            )

    def list(self) -> Sequence[WorkerRecord]:
        with self._file.read() as connection:
            rows = connection.execute(
                "SELECT id, host, pid, started_at, beats, queues, supervisor FROM job_workers "
                "ORDER BY started_at, id"
            ).fetchall()
        return [
            WorkerRecord(*(*row, tuple(filter(None, queues.split(","))), supervisor))
            for *row, queues, supervisor in rows
        ]

    def remove(self, worker: str) -> None:
        with self._file.write() as cursor:
            cursor.execute("DELETE FROM job_workers WHERE id = ?", (worker,))

    def restart(self) -> int:
        with self._file.write() as cursor:
            row = cursor.execute(
                "INSERT INTO job_signals VALUES ('restart', 1) "
                "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
            ).fetchone()
        epoch: int = row[0]
        return epoch

    def epoch(self) -> int:
        with self._file.read() as connection:
            row = connection.execute(
                "SELECT value FROM job_signals WHERE name = 'restart'"
            ).fetchone()
        return row[0] if row else 0
