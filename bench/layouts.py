"""The layouts of the store that bench/layout.py compares, each verb in raw sqlite3."""

from __future__ import annotations

import sqlite3
import time
from typing import Protocol

BATCH = 100
FAR = 4_000_000_000_000_000  # microseconds: a due time after every run of this bench

# An id as the library makes them: 16 bytes that grow with time. `n` counts from a base that keeps
# filled rows apart from measured ones.
FILL = """WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter LIMIT :count)
INSERT INTO {into} SELECT {values} FROM counter"""


class Layout(Protocol):
    """One way to keep jobs. Each verb is one transaction over a batch."""

    name: str
    schema: str

    def fill(self, db: sqlite3.Connection, *, count: int, payload: str) -> None:
        """`count` scheduled and as many finished jobs."""

    def dispatch(self, db: sqlite3.Connection, ids: list[bytes], payload: str) -> None: ...

    def claim(self, db: sqlite3.Connection, token: bytes) -> list[tuple[int, bytes]]: ...

    def settle(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        """They are completed."""

    def retry(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        """They failed and wait, until a moment that has come already."""

    def promote(self, db: sqlite3.Connection) -> int:
        """Up to a batch of scheduled jobs that are due becomes pending."""


class ThreeTables:
    """Identity is written once, work is narrow, history is appended."""

    name = "records + ready/waiting + outcomes"
    schema = """
        CREATE TABLE job_records (
            seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
            payload TEXT NOT NULL, tenant TEXT, user TEXT, options TEXT NOT NULL,
            created_at INTEGER NOT NULL);
        CREATE TABLE job_ready (
            seq INTEGER PRIMARY KEY, id BLOB NOT NULL, queue TEXT NOT NULL,
            priority INTEGER NOT NULL, attempts INTEGER NOT NULL, token BLOB, worker TEXT,
            started_at INTEGER);
        CREATE INDEX job_ready_claim ON job_ready (queue, priority DESC, seq) WHERE token IS NULL;
        CREATE INDEX job_ready_token ON job_ready (token) WHERE token IS NOT NULL;
        CREATE TABLE job_waiting (
            seq INTEGER PRIMARY KEY, id BLOB NOT NULL, queue TEXT NOT NULL,
            priority INTEGER NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL);
        CREATE INDEX job_waiting_due ON job_waiting (due_at);
        CREATE TABLE job_outcomes (
            n INTEGER PRIMARY KEY, seq INTEGER NOT NULL, attempt INTEGER NOT NULL,
            token BLOB NOT NULL, kind TEXT NOT NULL, worker TEXT, started_at INTEGER,
            ended_at INTEGER NOT NULL, error TEXT, result TEXT);
        CREATE INDEX job_outcomes_job ON job_outcomes (seq);
    """

    def fill(self, db: sqlite3.Connection, *, count: int, payload: str) -> None:
        scheduled = {"count": count, "payload": payload, "base": 1_000_000_000}
        finished = scheduled | {"base": 2_000_000_000}
        records = FILL.format(
            into="job_records",
            values=":base + n, CAST(printf('%016d', :base + n) AS BLOB), 'work', :payload,"
            " 'acme', '7', '{}', n",
        )
        waiting = FILL.format(
            into="job_waiting",
            values=f":base + n, CAST(printf('%016d', :base + n) AS BLOB), 'default', 0, 0, {FAR}+n",
        )
        outcomes = FILL.format(
            into="job_outcomes",
            values="NULL, :base + n, 1, randomblob(16), 'completed', 'host:1', n, n, NULL, 'null'",
        )
        with transaction(db):
            db.execute(records, scheduled)
            db.execute(waiting, scheduled)
            db.execute(records, finished)
            db.execute(outcomes, finished)

    def dispatch(self, db: sqlite3.Connection, ids: list[bytes], payload: str) -> None:
        now = microseconds()
        with transaction(db):
            for job_id in ids:
                seq = db.execute(
                    "INSERT INTO job_records (id, name, payload, tenant, user, options, created_at)"
                    " VALUES (?, 'work', ?, 'acme', '7', '{}', ?)",
                    (job_id, payload, now),
                ).lastrowid
                db.execute(
                    "INSERT INTO job_ready (seq, id, queue, priority, attempts)"
                    " VALUES (?, ?, 'default', 0, 0)",
                    (seq, job_id),
                )

    def claim(self, db: sqlite3.Connection, token: bytes) -> list[tuple[int, bytes]]:
        now = microseconds()
        with transaction(db):
            rows = db.execute(
                "SELECT seq, id FROM job_ready WHERE queue = 'default' AND token IS NULL"
                " ORDER BY priority DESC, seq LIMIT ?",
                (BATCH,),
            ).fetchall()
            for seq, _ in rows:
                db.execute(
                    "UPDATE job_ready SET token = ?, worker = 'host:1', started_at = ?,"
                    " attempts = attempts + 1 WHERE seq = ?",
                    (token, now, seq),
                )
                db.execute("SELECT name, payload FROM job_records WHERE seq = ?", (seq,)).fetchone()
        return rows

    def settle(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            for seq, _ in jobs:
                db.execute("DELETE FROM job_ready WHERE seq = ? AND token = ?", (seq, token))
                self._append(db, seq, token, "completed", now)

    def retry(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            for seq, job_id in jobs:
                db.execute("DELETE FROM job_ready WHERE seq = ? AND token = ?", (seq, token))
                db.execute(
                    "INSERT INTO job_waiting VALUES (?, ?, 'default', 0, 1, ?)", (seq, job_id, now)
                )
                self._append(db, seq, token, "retried", now)

    def promote(self, db: sqlite3.Connection) -> int:
        with transaction(db):
            due = db.execute(
                "SELECT seq, id, queue, priority, attempts FROM job_waiting WHERE due_at <= ?"
                " ORDER BY due_at LIMIT ?",
                (microseconds(), BATCH),
            ).fetchall()
            for row in due:
                db.execute("DELETE FROM job_waiting WHERE seq = ?", (row[0],))
                db.execute(
                    "INSERT INTO job_ready (seq, id, queue, priority, attempts)"
                    " VALUES (?, ?, ?, ?, ?)",
                    row,
                )
        return len(due)

    def _append(self, db: sqlite3.Connection, seq: int, token: bytes, kind: str, now: int) -> None:
        db.execute(
            "INSERT INTO job_outcomes (seq, attempt, token, kind, worker, started_at, ended_at,"
            " result) VALUES (?, 1, ?, ?, 'host:1', ?, ?, 'null')",
            (seq, token, kind, now, now),
        )


class OneTable:
    """One row per job, whose state changes in place. Keeps the last outcome only."""

    name = "one table, updated in place"
    columns = """
            seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
            payload TEXT NOT NULL, tenant TEXT, user TEXT, options TEXT NOT NULL,
            created_at INTEGER NOT NULL, state TEXT NOT NULL, queue TEXT NOT NULL,
            priority INTEGER NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER, token BLOB,
            worker TEXT, started_at INTEGER, ended_at INTEGER, error TEXT, result TEXT"""
    schema = f"""
        CREATE TABLE jobs ({columns});
        CREATE INDEX jobs_claim ON jobs (queue, priority DESC, seq) WHERE state = 'pending';
        CREATE INDEX jobs_token ON jobs (token) WHERE state = 'processing';
        CREATE INDEX jobs_due ON jobs (due_at) WHERE state = 'scheduled';
        CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
    """
    finished = "jobs"

    def fill(self, db: sqlite3.Connection, *, count: int, payload: str) -> None:
        base = (
            ":base + n, CAST(printf('%016d', :base + n) AS BLOB), 'work', :payload, 'acme', '7',"
            " '{}', n,"
        )
        scheduled = f"{base} 'scheduled', 'default', 0, 0, {FAR} + n, {', '.join(['NULL'] * 6)}"
        finished = (
            f"{base} 'completed', 'default', 0, 1, NULL, randomblob(16), 'host:1', n, n, NULL,"
            " 'null'"
        )
        values = {"count": count, "payload": payload}
        with transaction(db):
            db.execute(FILL.format(into="jobs", values=scheduled), values | {"base": 1_000_000_000})
            db.execute(
                FILL.format(into=self.finished, values=finished), values | {"base": 2_000_000_000}
            )

    def dispatch(self, db: sqlite3.Connection, ids: list[bytes], payload: str) -> None:
        now = microseconds()
        with transaction(db):
            for job_id in ids:
                db.execute(
                    "INSERT INTO jobs (id, name, payload, tenant, user, options, created_at, state,"
                    " queue, priority, attempts)"
                    " VALUES (?, 'work', ?, 'acme', '7', '{}', ?, 'pending', 'default', 0, 0)",
                    (job_id, payload, now),
                )

    def claim(self, db: sqlite3.Connection, token: bytes) -> list[tuple[int, bytes]]:
        now = microseconds()
        with transaction(db):
            rows = db.execute(
                "SELECT seq, id, name, payload FROM jobs"
                " WHERE queue = 'default' AND state = 'pending'"
                " ORDER BY priority DESC, seq LIMIT ?",
                (BATCH,),
            ).fetchall()
            for seq, *_ in rows:
                db.execute(
                    "UPDATE jobs SET state = 'processing', token = ?, worker = 'host:1',"
                    " started_at = ?, attempts = attempts + 1 WHERE seq = ?",
                    (token, now, seq),
                )
        return [(seq, job_id) for seq, job_id, *_ in rows]

    def settle(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            for seq, _ in jobs:
                db.execute(
                    "UPDATE jobs SET state = 'completed', ended_at = ?, result = 'null'"
                    " WHERE seq = ? AND token = ?",
                    (now, seq, token),
                )

    def retry(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            for seq, _ in jobs:
                db.execute(
                    "UPDATE jobs SET state = 'scheduled', due_at = ? WHERE seq = ? AND token = ?",
                    (now, seq, token),
                )

    def promote(self, db: sqlite3.Connection) -> int:
        with transaction(db):
            due = db.execute(
                "SELECT seq FROM jobs WHERE state = 'scheduled' AND due_at <= ?"
                " ORDER BY due_at LIMIT ?",
                (microseconds(), BATCH),
            ).fetchall()
            for row in due:
                db.execute(
                    "UPDATE jobs SET state = 'pending', due_at = NULL, token = NULL WHERE seq = ?",
                    row,
                )
        return len(due)


class TwoTables(OneTable):
    """One row per job, moved whole to a table of finished ones when it ends."""

    name = "one table, moved whole when finished"
    # Without AUTOINCREMENT the sequence number of the last job moved away is given out again.
    schema = OneTable.schema.replace("PRIMARY KEY,", "PRIMARY KEY AUTOINCREMENT,").replace(
        "CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;",
        f"CREATE TABLE finished ({OneTable.columns});"
        " CREATE INDEX finished_ended ON finished (ended_at);",
    )
    finished = "finished"

    def settle(self, db: sqlite3.Connection, jobs: list[tuple[int, bytes]], token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            for seq, _ in jobs:
                db.execute(
                    "INSERT INTO finished SELECT seq, id, name, payload, tenant, user, options,"
                    " created_at, 'completed', queue, priority, attempts, due_at, token, worker,"
                    " started_at, ?, error, 'null' FROM jobs WHERE seq = ? AND token = ?",
                    (now, seq, token),
                )
                db.execute("DELETE FROM jobs WHERE seq = ? AND token = ?", (seq, token))


LAYOUTS: tuple[Layout, ...] = (ThreeTables(), OneTable(), TwoTables())


class transaction:  # noqa: N801 - reads as a statement
    """BEGIN IMMEDIATE … COMMIT; cheaper than a generator in a loop of thousands."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *failure: object) -> None:
        self.db.execute("ROLLBACK" if failure[0] else "COMMIT")


def microseconds() -> int:
    return time.time_ns() // 1000
