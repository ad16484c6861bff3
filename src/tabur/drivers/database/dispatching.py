"""Bringing jobs into the tables, and the moves that people ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection, Engine, event

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.drivers.database.rows import KnownId, Rows, cancelled_row
from tabur.drivers.database.selection import where
from tabur.drivers.database.sqlite import SqliteFile
from tabur.drivers.database.wake import Bell
from tabur.errors import ConfigError, SchemaMissing
from tabur.model.ids import made_from_key
from tabur.model.records import NewJob
from tabur.model.states import FINISHED

#: Jobs removed or cancelled in one transaction, so that nobody waits long for the write lock.
CHUNK = 500


class DatabaseDispatching:
    def __init__(self, file: SqliteFile, rows: Rows, bell: Bell, clock: Callable[[], int]) -> None:
        self._file = file
        self._rows = rows
        self._bell = bell
        self._clock = clock

    def dispatch(self, jobs: Sequence[NewJob]) -> None:
        try:
            with self._file.write() as cursor:
                try:
                    woken = self._rows.insert(cursor, jobs, self._clock())
                except KnownId:
                    # Somebody dispatches again: rare, so that only then each id is looked up.
                    cursor.execute("ROLLBACK")
                    cursor.execute("BEGIN IMMEDIATE")
                    fresh = self._rows.unknown(cursor, jobs)
                    woken = bool(fresh) and self._rows.insert(cursor, fresh, self._clock())
        except OverflowError:
            raise ConfigError("A number among the options is too large for the store.") from None
        if woken:
            self._bell.ring()

    def dispatch_in(self, connection: Connection, jobs: Sequence[NewJob]) -> None:
        if not self._file.is_same(connection):
            url = connection.engine.url.render_as_string(hide_password=True)
            raise ConfigError(
                f"session= is on {url}, and the queue is in {self._file}. A transaction "
                "cannot span both: point DATABASE_URL at the same database, or dispatch with "
                "after_commit=True."
            )
        cursor = connection.connection.cursor()
        try:
            # Only an id made from a key can be there already. Looking for each would begin the
            # caller's transaction with a read, which SQLite may refuse to let write later.
            if any(made_from_key(job.id) for job in jobs):
                jobs = self._rows.unknown(cursor, jobs)
            self._rows.insert(cursor, jobs, self._clock())
        except Exception as error:
            if "no such table" in str(error):
                raise SchemaMissing(str(self._file)) from error
            raise
        finally:
            cursor.close()
        event.listen(connection, "commit", lambda _: self._bell.ring(), once=True)

    def install(self, engine: Engine) -> None:
        self._file.install(engine)

    def cancel(self, job_id: bytes) -> CancelAnswer:
        with self._file.write() as cursor:
            if self._rows.is_known(cursor, job_id):
                claimed = cursor.execute(
                    "SELECT token IS NOT NULL FROM job_ready WHERE id = ?", (job_id,)
                ).fetchone()
                if not self._rows.cancel(cursor, job_id, "Called back.", self._clock()):
                    return CancelAnswer.FINISHED
                running = claimed is not None and claimed[0]
                return CancelAnswer.CANCELLING if running else CancelAnswer.CANCELLED
        return CancelAnswer.UNKNOWN

    def retry(self, job_ids: Iterable[bytes]) -> int:
        retried = 0
        with self._file.write() as cursor:
            for job_id in job_ids:
                ended = cursor.execute(_LAST_ENDING, (job_id,)).fetchone()
                if ended is None or ended[1] not in ("failed", "cancelled"):
                    continue
                work = cursor.execute(
                    "SELECT id, queue, isolation, rank, 0, 0, 0 FROM job_records WHERE id = ?",
                    (job_id,),
                ).fetchone()
                cursor.execute(
                    "UPDATE job_outcomes SET ending = 'retried' WHERE seq = ?", (ended[0],)
                )
                cursor.execute(self._rows.delete_progress.sql, (job_id,))
                cursor.execute(self._rows.insert_ready.sql, work)
                retried += 1
        if retried:
            self._bell.ring()
        return retried

    def forget(self, which: Filter) -> int:
        if not FINISHED.issuperset(which.states):
            raise ConfigError("Only finished jobs can be forgotten.")
        condition, values = where(which)
        query = f"""
            SELECT o.id FROM job_outcomes o JOIN job_records r ON r.id = o.id
             WHERE o.ending IN ('completed', 'failed', 'cancelled') AND {condition}
             ORDER BY o.seq LIMIT {CHUNK}
        """
        forgotten = 0
        while True:
            with self._file.write() as cursor:
                ids = cursor.execute(query, values).fetchall()
                for table in _TABLES:
                    cursor.executemany(f"DELETE FROM {table} WHERE id = ?", ids)
            forgotten += len(ids)
            if len(ids) < CHUNK:
                return forgotten

    def forget_one(self, job_id: bytes) -> bool:
        with self._file.write() as cursor:
            ended = cursor.execute(_LAST_ENDING, (job_id,)).fetchone()
            if ended is None or ended[1] not in ("completed", "failed", "cancelled"):
                return False
            for table in _TABLES:
                cursor.execute(f"DELETE FROM {table} WHERE id = ?", (job_id,))
        return True

    def clear(self, queue: str) -> int:
        cleared = 0
        while True:
            with self._file.write() as cursor:
                waiting = cursor.execute(_UNSTARTED, {"queue": queue}).fetchall()
                ids = [(job_id,) for job_id, _ in waiting]
                cursor.executemany(self._rows.delete_unclaimed.sql, ids)
                cursor.executemany(self._rows.delete_waiting.sql, ids)
                now = self._clock()
                gone = [
                    cancelled_row(job_id, "The queue was cleared.", attempts=attempts, now=now)
                    for job_id, attempts in waiting
                ]
                cursor.executemany(self._rows.insert_outcome.sql, gone)
            cleared += len(ids)
            if len(ids) < CHUNK:
                return cleared


_TABLES = ("job_records", "job_outcomes", "job_progress", "job_attachments")

#: The ending that a job has, if it stands in neither of the tables of work.
_LAST_ENDING = """
    SELECT seq, ending FROM job_outcomes o WHERE id = ?1
       AND NOT EXISTS (SELECT 1 FROM job_ready WHERE id = ?1)
       AND NOT EXISTS (SELECT 1 FROM job_waiting WHERE id = ?1)
     ORDER BY seq DESC LIMIT 1
"""
_UNSTARTED = f"""
    SELECT id, attempts FROM (
        SELECT id, attempts FROM job_ready WHERE queue = :queue AND token IS NULL
         UNION ALL
        SELECT id, attempts FROM job_waiting WHERE queue = :queue)
     LIMIT {CHUNK}
"""
