"""The layouts of the store that bench/layout.py compares, each verb in raw sqlite3.

`Adopted` works on Tabur's own tables, made by Tabur's own migration; bench/bare.py uses it too.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tabur import Tabur

FAR = 4_000_000_000_000_000  # microseconds: a due time after every run of this bench

# One statement that fills a table; an id is 16 bytes that grow, as Tabur's own do. `:base` keeps
# filled rows apart from measured ones, and before them.
FILL = """WITH RECURSIVE counter(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counter LIMIT :count)
INSERT INTO {into} SELECT {values} FROM counter"""
FILLED_ID = "CAST(printf('%016d', :base + n) AS BLOB)"

Claimed = list[tuple[int, bytes, bytes]]  # sequence number, id, payload


class Layout(Protocol):
    """One way to keep jobs. Each verb is one transaction over a batch."""

    name: str

    def make(self, db: sqlite3.Connection) -> None: ...

    def fill(self, db: sqlite3.Connection, *, count: int, payload: bytes) -> None:
        """`count` scheduled and as many finished jobs."""

    def dispatch(self, db: sqlite3.Connection, ids: Sequence[bytes], payload: bytes) -> None: ...

    def claim(self, db: sqlite3.Connection, token: bytes, batch: int) -> Claimed: ...

    def settle(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        """They are completed."""

    def retry(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        """They failed and wait, until a moment that has come already."""

    def promote(self, db: sqlite3.Connection, batch: int) -> int:
        """Scheduled jobs that are due become pending."""


class Adopted:
    """Tabur's tables: identity is written once, work is narrow, history is appended."""

    name = "records + ready/waiting + outcomes"

    def make(self, db: sqlite3.Connection) -> None:
        for statement in tabur_schema():
            db.execute(statement)

    def fill(self, db: sqlite3.Connection, *, count: int, payload: bytes) -> None:
        records = FILL.format(
            into="job_records (id, name, queue, rank, isolation, payload, options, tenant, user_id,"
            " created_at)",
            values=f"{FILLED_ID}, 'work', 'default', 0, 'thread', :payload, X'7b7d', 'acme', '7',"
            " n",
        )
        waiting = FILL.format(
            into="job_waiting (id, queue, isolation, rank, attempts, exceptions, crashes, due_at,"
            " blockers)",
            values=f"{FILLED_ID}, 'default', 'thread', 0, 0, 0, 0, {FAR} + n, 0",
        )
        outcomes = FILL.format(
            into="job_outcomes (id, attempt, token, ending, worker, started_at, ended_at, result)",
            values=f"{FILLED_ID}, 1, randomblob(16), 'completed', 'host:1', n, n, X'6e756c6c'",
        )
        scheduled = {"count": count, "base": 1_000_000_000}
        finished = {"count": count, "base": 2_000_000_000}
        with transaction(db):
            db.execute(records, scheduled | {"payload": payload})
            db.execute(records, finished | {"payload": payload})
            db.execute(waiting, scheduled)
            db.execute(outcomes, finished)

    def dispatch(self, db: sqlite3.Connection, ids: Sequence[bytes], payload: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "INSERT INTO job_records (id, name, queue, rank, isolation, payload, options,"
                " tenant, user_id, created_at)"
                " VALUES (?, 'work', 'default', 0, 'thread', ?, X'7b7d', 'acme', '7', ?)",
                [(job_id, payload, now) for job_id in ids],
            )
            db.executemany(
                "INSERT INTO job_ready (id, queue, isolation, rank, attempts, exceptions, crashes)"
                " VALUES (?, 'default', 'thread', 0, 0, 0, 0)",
                [(job_id,) for job_id in ids],
            )

    def claim(self, db: sqlite3.Connection, token: bytes, batch: int) -> Claimed:
        now = microseconds()
        with transaction(db):
            rows: Claimed = db.execute(
                "SELECT y.seq, y.id, r.payload FROM job_ready y CROSS JOIN job_records r"
                " ON r.id = y.id WHERE y.queue = 'default' AND y.isolation = 'thread'"
                " AND y.token IS NULL ORDER BY y.rank, y.seq LIMIT ?",
                (batch,),
            ).fetchall()
            db.executemany(
                "UPDATE job_ready SET token = ?, worker = 'host:1', claimed_at = ?,"
                " attempts = attempts + 1 WHERE seq = ?",
                [(token, now, seq) for seq, *_ in rows],
            )
        return rows

    def settle(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        with transaction(db):
            self._end(db, jobs, token, "completed")

    def retry(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            self._end(db, jobs, token, "retried")
            db.executemany(
                "INSERT INTO job_waiting VALUES (?, 'default', 'thread', 0, 1, 1, 0, ?, 0)",
                [(job_id, now) for _, job_id, _ in jobs],
            )

    def promote(self, db: sqlite3.Connection, batch: int) -> int:
        with transaction(db):
            due = db.execute(
                "SELECT id, queue, isolation, rank, attempts, exceptions, crashes FROM job_waiting"
                " WHERE blockers = 0 AND due_at <= ? ORDER BY due_at LIMIT ?",
                (microseconds(), batch),
            ).fetchall()
            db.executemany("DELETE FROM job_waiting WHERE id = ?", [row[:1] for row in due])
            db.executemany(
                "INSERT INTO job_ready (id, queue, isolation, rank, attempts, exceptions, crashes)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                due,
            )
        return len(due)

    def _end(self, db: sqlite3.Connection, jobs: Claimed, token: bytes, ending: str) -> None:
        now = microseconds()
        db.executemany(
            "DELETE FROM job_ready WHERE seq = ? AND token = ?", [(seq, token) for seq, *_ in jobs]
        )
        db.executemany(
            "INSERT INTO job_outcomes (id, attempt, token, ending, worker, started_at, ended_at,"
            " result) VALUES (?, 1, ?, ?, 'host:1', ?, ?, X'6e756c6c')",
            [(job_id, token, ending, now, now) for _, job_id, _ in jobs],
        )


class RecordsById(Adopted):
    """The same, with the records clustered by id: SQLite's WITHOUT ROWID."""

    name = "the same, records clustered by id"

    def make(self, db: sqlite3.Connection) -> None:
        for statement in tabur_schema():
            if statement.startswith("CREATE TABLE job_records"):
                db.execute(f"{statement} WITHOUT ROWID")
            else:
                db.execute(statement)


class OneTable:
    """One row per job, whose state changes in place. Knows the last outcome only."""

    name = "one table, updated in place, last outcome only"
    columns = """
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
        state TEXT NOT NULL, queue TEXT NOT NULL, rank INTEGER NOT NULL, isolation TEXT NOT NULL,
        attempts INTEGER NOT NULL, exceptions INTEGER NOT NULL, crashes INTEGER NOT NULL,
        due_at INTEGER, token BLOB, worker TEXT, claimed_at INTEGER, ended_at INTEGER,
        payload BLOB NOT NULL, options BLOB NOT NULL, tenant TEXT, user_id TEXT,
        created_at INTEGER NOT NULL, error TEXT, result BLOB"""
    finished = "jobs"

    def make(self, db: sqlite3.Connection) -> None:
        db.executescript(f"""
            CREATE TABLE jobs ({self.columns});
            CREATE INDEX jobs_claim ON jobs (queue, isolation, rank, seq) WHERE state = 'pending';
            CREATE INDEX jobs_claimed ON jobs (worker) WHERE state = 'processing';
            CREATE INDEX jobs_due ON jobs (due_at) WHERE state = 'scheduled';
            CREATE INDEX jobs_failed ON jobs (id) WHERE state = 'failed';
        """)

    def fill(self, db: sqlite3.Connection, *, count: int, payload: bytes) -> None:
        columns = (
            "(seq, id, name, state, queue, rank, isolation, attempts, exceptions, crashes, due_at,"
            " token, worker, claimed_at, ended_at, payload, options, tenant, user_id, created_at,"
            " error, result)"
        )
        common = f":base + n, {FILLED_ID}, 'work'"
        tail = "'acme', '7', n, NULL"
        scheduled = (
            f"{common}, 'scheduled', 'default', 0, 'thread', 0, 0, 0, {FAR} + n, NULL, NULL, NULL,"
            f" NULL, :payload, X'7b7d', {tail}, NULL"
        )
        finished = (
            f"{common}, 'completed', 'default', 0, 'thread', 1, 0, 0, NULL, randomblob(16),"
            f" 'host:1', n, n, :payload, X'7b7d', {tail}, X'6e756c6c'"
        )
        given = {"count": count, "payload": payload}
        with transaction(db):
            for into, values, base in (
                ("jobs", scheduled, 1_000_000_000),
                (self.finished, finished, 2_000_000_000),
            ):
                db.execute(FILL.format(into=into + columns, values=values), given | {"base": base})

    def dispatch(self, db: sqlite3.Connection, ids: Sequence[bytes], payload: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "INSERT INTO jobs (id, name, state, queue, rank, isolation, attempts, exceptions,"
                " crashes, payload, options, tenant, user_id, created_at)"
                " VALUES (?, 'work', 'pending', 'default', 0, 'thread', 0, 0, 0, ?, X'7b7d',"
                " 'acme', '7', ?)",
                [(job_id, payload, now) for job_id in ids],
            )

    def claim(self, db: sqlite3.Connection, token: bytes, batch: int) -> Claimed:
        now = microseconds()
        with transaction(db):
            rows: Claimed = db.execute(
                "SELECT seq, id, payload FROM jobs WHERE state = 'pending' AND queue = 'default'"
                " AND isolation = 'thread' ORDER BY rank, seq LIMIT ?",
                (batch,),
            ).fetchall()
            db.executemany(
                "UPDATE jobs SET state = 'processing', token = ?, worker = 'host:1',"
                " claimed_at = ?, attempts = attempts + 1 WHERE seq = ?",
                [(token, now, seq) for seq, *_ in rows],
            )
        return rows

    def settle(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "UPDATE jobs SET state = 'completed', ended_at = ?, result = X'6e756c6c'"
                " WHERE seq = ? AND token = ?",
                [(now, seq, token) for seq, *_ in jobs],
            )

    def retry(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "UPDATE jobs SET state = 'scheduled', due_at = ? WHERE seq = ? AND token = ?",
                [(now, seq, token) for seq, *_ in jobs],
            )

    def promote(self, db: sqlite3.Connection, batch: int) -> int:
        with transaction(db):
            due = db.execute(
                "SELECT seq FROM jobs WHERE state = 'scheduled' AND due_at <= ?"
                " ORDER BY due_at LIMIT ?",
                (microseconds(), batch),
            ).fetchall()
            db.executemany(
                "UPDATE jobs SET state = 'pending', due_at = NULL, token = NULL WHERE seq = ?", due
            )
        return len(due)


class OneTableWithHistory(OneTable):
    """One row per job, updated in place, and a row of history per attempt: the facts we promise."""

    name = "one table, updated in place, + outcomes"

    def make(self, db: sqlite3.Connection) -> None:
        super().make(db)
        for statement in tabur_schema():
            if "job_outcomes" in statement and "VIEW" not in statement:
                db.execute(statement)

    def settle(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "UPDATE jobs SET state = 'completed', ended_at = ? WHERE seq = ? AND token = ?",
                [(now, seq, token) for seq, *_ in jobs],
            )
            self._append(db, jobs, token, "completed")

    def retry(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "UPDATE jobs SET state = 'scheduled', due_at = ? WHERE seq = ? AND token = ?",
                [(now, seq, token) for seq, *_ in jobs],
            )
            self._append(db, jobs, token, "retried")

    def _append(self, db: sqlite3.Connection, jobs: Claimed, token: bytes, ending: str) -> None:
        now = microseconds()
        db.executemany(
            "INSERT INTO job_outcomes (id, attempt, token, ending, worker, started_at, ended_at,"
            " result) VALUES (?, 1, ?, ?, 'host:1', ?, ?, X'6e756c6c')",
            [(job_id, token, ending, now, now) for _, job_id, _ in jobs],
        )


class Moved(OneTable):
    """One row per job, moved whole to a table of finished ones when it ends."""

    name = "one table, moved whole when finished"
    finished = "finished"

    def make(self, db: sqlite3.Connection) -> None:
        super().make(db)
        db.execute(f"CREATE TABLE finished ({self.columns})")

    def settle(self, db: sqlite3.Connection, jobs: Claimed, token: bytes) -> None:
        now = microseconds()
        with transaction(db):
            db.executemany(
                "INSERT INTO finished SELECT seq, id, name, 'completed', queue, rank, isolation,"
                " attempts, exceptions, crashes, due_at, token, worker, claimed_at, ?, payload,"
                " options, tenant, user_id, created_at, error, X'6e756c6c'"
                " FROM jobs WHERE seq = ? AND token = ?",
                [(now, seq, token) for seq, *_ in jobs],
            )
            db.executemany(
                "DELETE FROM jobs WHERE seq = ? AND token = ?", [(seq, token) for seq, *_ in jobs]
            )


LAYOUTS: tuple[Layout, ...] = (
    Adopted(),
    RecordsById(),
    OneTable(),
    OneTableWithHistory(),
    Moved(),
)


def tabur_schema() -> list[str]:
    """The statements that make Tabur's tables, taken from a store it has migrated."""
    with tempfile.TemporaryDirectory(prefix="tabur-schema-") as folder:
        path = Path(folder, "store.sqlite3")
        jobs = Tabur(connection="database", database_url=f"sqlite:///{path}")
        jobs.migrate()
        jobs.close()
        with contextlib.closing(sqlite3.connect(path)) as db:
            rows = db.execute(
                "SELECT trim(sql) FROM sqlite_master WHERE sql IS NOT NULL"
                " AND name NOT LIKE 'sqlite_%' ORDER BY type = 'view', type = 'index'"
            )
            return [sql for (sql,) in rows]


def open_store(path: Path) -> sqlite3.Connection:
    """A connection as Tabur opens it: WAL, and FULL: a commit is on the disk when it returns."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -16000")
    return db


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
