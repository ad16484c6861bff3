"""The tables. Identity, work and history are three things, kept in three places.

- `job_records`: what a job is; written once, kept until retention.
- `job_ready` (pending and processing) and `job_waiting` (scheduled and blocked): narrow rows, only
  while it is unfinished. A million scheduled jobs weigh nothing on the table that claims read.
- `job_outcomes`: one row per ended attempt, appended.

A job's state is where its row stands: in `job_ready`, in `job_waiting`, or, in neither, the ending
of its last outcome. Moments are microseconds since the epoch, UTC; ids and tokens 16 bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

VERSION = 1

metadata = MetaData()

_Key = LargeBinary(16)
_Moment = BigInteger
#: SQLite numbers rows by itself only where the column is called INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

records = Table(
    "job_records",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("queue", String(200), nullable=False),
    # Rank is 0 - priority: an index that ascends yields high priorities first on every engine.
    Column("rank", Integer, nullable=False),
    Column("isolation", String(10), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("options", LargeBinary, nullable=False),
    Column("tenant", String(200)),
    Column("user_id", String(200)),
    Column("locale", String(200)),
    Column("created_at", _Moment, nullable=False),
)

ready = Table(
    "job_ready",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("id", _Key, nullable=False, unique=True),
    Column("queue", String(200), nullable=False),
    Column("isolation", String(10), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("exceptions", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("token", _Key),
    Column("worker", String(40)),
    Column("claimed_at", _Moment),
    Column("cancelling", SmallInteger, nullable=False, server_default=text("0")),
)
Index(
    "job_ready_claim",
    ready.c.queue,
    ready.c.isolation,
    ready.c.rank,
    ready.c.seq,
    sqlite_where=ready.c.token.is_(None),
)
Index("job_ready_claimed", ready.c.worker, sqlite_where=ready.c.token.is_not(None))

waiting = Table(
    "job_waiting",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("queue", String(200), nullable=False),
    Column("isolation", String(10), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("exceptions", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("due_at", _Moment),
    Column("blockers", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("job_waiting_due", waiting.c.due_at, sqlite_where=waiting.c.blockers == 0)

outcomes = Table(
    "job_outcomes",
    metadata,
    Column("seq", _Sequence, primary_key=True),
    Column("id", _Key, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", _Key),
    Column("ending", String(10), nullable=False),
    Column("worker", String(40)),
    Column("started_at", _Moment),
    Column("ended_at", _Moment, nullable=False),
    Column("error", Text),
    Column("result", LargeBinary),
)
Index("job_outcomes_job", outcomes.c.id)
Index("job_outcomes_failed", outcomes.c.id, sqlite_where=outcomes.c.ending == "failed")

progress = Table(
    "job_progress",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("unit", String(40)),
    Column("message", String(500)),
    Column("warnings", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

attachments = Table(
    "job_attachments",
    metadata,
    Column("id", _Key, nullable=False),
    Column("n", Integer, nullable=False),
    Column("name", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("path", String(500), nullable=False),
    PrimaryKeyConstraint("id", "n"),
)

workers = Table(
    "job_workers",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("supervisor", String(40), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("queues", Text, nullable=False),
    Column("started_at", _Moment, nullable=False),
    Column("beats", BigInteger, nullable=False),
)

signals = Table(
    "job_signals",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

versions = Table(
    "tabur_schema",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("applied_at", _Moment, nullable=False),
)

#: What a Laravel user types works: unfinished jobs and failed ones under Laravel's column names,
#: moments in seconds.
VIEWS = {
    "jobs": """
        SELECT lower(hex(y.id)) AS id, y.queue AS queue, CAST(r.payload AS TEXT) AS payload,
               y.attempts AS attempts, y.claimed_at / 1000000 AS reserved_at,
               r.created_at / 1000000 AS available_at, r.created_at / 1000000 AS created_at,
               r.name AS name
          FROM job_ready y JOIN job_records r ON r.id = y.id
         UNION ALL
        SELECT lower(hex(w.id)), w.queue, CAST(r.payload AS TEXT), w.attempts, NULL,
               w.due_at / 1000000, r.created_at / 1000000, r.name
          FROM job_waiting w JOIN job_records r ON r.id = w.id
    """,
    "failed_jobs": """
        SELECT o.seq AS id, lower(hex(o.id)) AS uuid, 'database' AS connection, r.queue AS queue,
               CAST(r.payload AS TEXT) AS payload, o.error AS exception,
               datetime(o.ended_at / 1000000, 'unixepoch') AS failed_at, r.name AS name
          FROM job_outcomes o JOIN job_records r ON r.id = o.id
         WHERE o.ending = 'failed'
    """,
}
