"""The tables. Identity, work and history are three things, kept in three places.

- `job_records`: what a job is; written once, kept until retention.
- `job_ready` (pending and processing) and `job_waiting` (scheduled and blocked): narrow rows, only
  while it is unfinished. A million scheduled jobs weigh nothing on the table that claims read.
- `job_outcomes`: one row per ended attempt, appended.

Beside them `job_schedules`, with a row in `job_ticks` for each tick that was decided; and what ties
jobs together: `job_batches`, their jobs in `job_members`, what a blocked job waits for in
`job_links`, and who holds which unique key in `job_uniques`. A job without such ties has no row
there.

A job's state is where its row stands: in `job_ready`, in `job_waiting`, or, in neither, the ending
of its last outcome. Moments are microseconds since the epoch, UTC; ids and tokens 16 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BINARY,
    BigInteger,
    Column,
    ColumnElement,
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

from tabur.drivers.database.store import Words
from tabur.model.schedules import (
    LONGEST_EXPRESSION,
    LONGEST_NAME,
    LONGEST_REASON,
    LONGEST_SCHEDULER,
    LONGEST_ZONE,
)

VERSION = 5
LONGEST_BATCH = 200

metadata = MetaData()

_MYSQL = ("mysql", "mariadb")
_Key = LargeBinary(16).with_variant(BINARY(16), *_MYSQL)
#: MySQL takes the smallest type that holds so much: MEDIUMBLOB, and MEDIUMTEXT (four bytes each).
_Bytes = LargeBinary().with_variant(LargeBinary(2**24 - 1), *_MYSQL)
_LongText = Text().with_variant(Text(2**22 - 1), *_MYSQL)
_Moment = BigInteger


def _name(length: int) -> Any:
    """A text in whose order pages are read: by character, on every engine."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


#: Names differ by case, by accent and by a space at their end, as Python's do. MariaDB and MySQL
#: have no such collation in common: each reads its own out of the comments.
_TEXTS = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "/*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */",
    "mysql_engine": "InnoDB",
}
_SQLITE, _POSTGRES = ("sqlite",), ("postgresql",)
_PARTIAL = (*_SQLITE, *_POSTGRES)
_ALL = (*_PARTIAL, *_MYSQL)
#: Rows come and go by the thousand a second: vacuum by what has died, not by a share of the table.
_CHURNING = {
    "postgresql_with": {
        "fillfactor": 70,
        "autovacuum_vacuum_scale_factor": 0,
        "autovacuum_vacuum_threshold": 5000,
        "autovacuum_analyze_scale_factor": 0,
        "autovacuum_analyze_threshold": 50000,
        "autovacuum_vacuum_cost_delay": 0,
    }
}
#: A row that changes a thousand times keeps its page, and is not written into an index each time.
_COUNTED = {"postgresql_with": {**_CHURNING["postgresql_with"], "fillfactor": 50}}

_WITHOUT_ROWID = {"sqlite_with_rowid": False}


def _options(*of_some: dict[str, Any]) -> dict[str, Any]:
    """What a table is told on some engines, `for_engine` tells it: SQLAlchemy looks up whose such a
    word is, and so imports each engine's dialect, which takes longer than to run most commands."""
    return {"info": {"options": {name: value for each in of_some for name, value in each.items()}}}


def _index(
    name: str, *columns: Any, on: tuple[str, ...], only: ColumnElement[bool] | None = None
) -> None:
    """An index, of some rows `only` where the engine can."""
    where = {} if only is None else {f"{engine}_where": only for engine in _PARTIAL}
    Index(name, *columns, info={"on": on, "options": where})


def for_engine(dialect: str) -> None:
    """Tell tables and indexes what they are told on one engine, before they are made."""
    prefix = "mysql_" if dialect in _MYSQL else f"{dialect}_"
    for table in metadata.tables.values():
        described: list[Table | Index] = [table, *table.indexes]
        for each in described:
            for name, value in each.info["options"].items():
                if name.startswith(prefix):
                    each.dialect_kwargs[name] = value


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
    Column("payload", _Bytes, nullable=False),
    Column("options", _Bytes, nullable=False),
    Column("tenant", String(200)),
    Column("user_id", String(200)),
    Column("locale", String(200)),
    Column("created_at", _Moment, nullable=False),
    **_options(_TEXTS),
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
    **_options(_TEXTS, _CHURNING),
)
#: Claims read it in its own order. Where an index may be of some rows only, claimed ones leave it;
#: where not, they stand apart from the free ones, which have no worker.
_index(
    "job_ready_claim",
    ready.c.queue,
    ready.c.isolation,
    ready.c.rank,
    ready.c.seq,
    only=ready.c.token.is_(None),
    on=_PARTIAL,
)
_index(
    "job_ready_claim",
    ready.c.worker,
    ready.c.queue,
    ready.c.isolation,
    ready.c.rank,
    ready.c.seq,
    on=_MYSQL,
)
_index("job_ready_claimed", ready.c.worker, only=ready.c.token.is_not(None), on=_PARTIAL)

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
    # Below zero: taken out, to be moved into another store.
    **_options(_TEXTS, _WITHOUT_ROWID),
)
#: By moment and then by id, which only PostgreSQL does not keep in every index by itself.
_index("job_waiting_due", waiting.c.due_at, only=waiting.c.blockers == 0, on=_SQLITE)
_index(
    "job_waiting_due",
    waiting.c.due_at,
    waiting.c.id,
    only=waiting.c.blockers == 0,
    on=_POSTGRES,
)
_index("job_waiting_due", waiting.c.blockers, waiting.c.due_at, on=_MYSQL)

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
    Column("error", _LongText),
    Column("result", _Bytes),
    **_options(_TEXTS),
)
#: The last outcome of a job is found without a sort: the row's number is part of the index,
#: everywhere but on PostgreSQL by itself.
_index("job_outcomes_job", outcomes.c.id, on=(*_SQLITE, *_MYSQL))
_index("job_outcomes_job", outcomes.c.id, outcomes.c.seq, on=_POSTGRES)
_index("job_outcomes_failed", outcomes.c.id, only=outcomes.c.ending == "failed", on=_PARTIAL)
_index("job_outcomes_failed", outcomes.c.ending, outcomes.c.id, on=_MYSQL)

progress = Table(
    "job_progress",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("unit", String(40)),
    Column("message", String(500)),
    Column("warnings", BigInteger, nullable=False),
    **_options(_TEXTS, _WITHOUT_ROWID),
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
    **_options(_TEXTS),
)

WIDEST_VERSION = 200

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
    # With a default, for workers of the version before, which do not write it.
    Column("version", String(WIDEST_VERSION), nullable=False, server_default=text("''")),
    # How fast it is, as JSON.
    Column("pace", Text),
    **_options(_TEXTS),
)

signals = Table(
    "job_signals",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
    **_options(_TEXTS),
)

pauses = Table(
    "job_pauses",
    metadata,
    # A queue, `*` for all, or, of the hold after a restore, nothing.
    Column("queue", String(200), primary_key=True),
    Column("since", _Moment, nullable=False),
    Column("until", _Moment),
    Column("reason", Text),
    **_options(_TEXTS),
)

cursors = Table(
    "job_cursors",
    metadata,
    Column("id", _Key, primary_key=True),
    # What the job's last checkpoint left, to go on from.
    Column("cursor", _Bytes, nullable=False),
    **_options(_TEXTS, _WITHOUT_ROWID),
)

schedules = Table(
    "job_schedules",
    metadata,
    Column("name", _name(LONGEST_NAME), primary_key=True),
    Column("origin", String(10), nullable=False),
    Column("definition", _Bytes, nullable=False),
    Column("cron_expression", String(LONGEST_EXPRESSION), nullable=False),
    Column("timezone", String(LONGEST_ZONE), nullable=False),
    Column("next_run_at", _Moment),
    Column("last_run_at", _Moment),
    Column("is_active", SmallInteger, nullable=False),
    # A tick that has come and waits until the job before it has ended.
    Column("waiting", _Moment),
    Column("last_job", _Key),
    Column("revision", BigInteger, nullable=False),
    **_options(_TEXTS),
)
_due = (schedules.c.next_run_at, schedules.c.name)
_index("job_schedules_due", *_due, only=schedules.c.is_active == text("1"), on=_PARTIAL)
_index("job_schedules_due", schedules.c.is_active, *_due, on=_MYSQL)
_index("job_schedules_origin", schedules.c.origin, schedules.c.name, on=_ALL)

ticks = Table(
    "job_ticks",
    metadata,
    Column("schedule", _name(LONGEST_NAME), nullable=False),
    Column("due_at", _Moment, nullable=False),
    Column("decision", String(20), nullable=False),
    Column("decided_at", _Moment, nullable=False),
    Column("reason", String(LONGEST_REASON), nullable=False),
    Column("job", _Key),
    Column("scheduler", String(LONGEST_SCHEDULER), nullable=False),
    PrimaryKeyConstraint("schedule", "due_at"),
    **_options(_TEXTS, _WITHOUT_ROWID),
)
_index("job_ticks_due", ticks.c.due_at, ticks.c.schedule, on=_ALL)

notes = Table(
    "job_notes",
    metadata,
    Column("name", _name(LONGEST_NAME), primary_key=True),
    Column("value", _Bytes, nullable=False),
    Column("revision", BigInteger, nullable=False),
    **_options(_TEXTS),
)

#: What came with version 4.
SCHEDULING = (schedules, ticks, notes)

batches = Table(
    "job_batches",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("name", String(LONGEST_BATCH), nullable=False),
    Column("total_jobs", Integer, nullable=False),
    Column("pending_jobs", Integer, nullable=False),
    Column("failed_jobs", Integer, nullable=False),
    Column("cancelled_jobs", Integer, nullable=False),
    Column("allow_failures", SmallInteger, nullable=False),
    # Jobs that wait for it: their ids, one after the other.
    Column("next_ids", _Bytes, nullable=False),
    Column("catch_ids", _Bytes, nullable=False),
    Column("finally_ids", _Bytes, nullable=False),
    Column("options", _Bytes, nullable=False),
    Column("tenant", String(200)),
    Column("user_id", String(200)),
    Column("cancelled_at", _Moment),
    Column("created_at", _Moment, nullable=False),
    Column("finished_at", _Moment),
    **_options(_TEXTS, _COUNTED),
)
_index("job_batches_finished", batches.c.finished_at, batches.c.created_at, on=_ALL)

members = Table(
    "job_members",
    metadata,
    Column("batch", _Key, nullable=False),
    Column("job", _Key, nullable=False),
    PrimaryKeyConstraint("batch", "job"),
    **_options(_TEXTS, _WITHOUT_ROWID),
)

#: By who waits: whom to unblock, a job's own record tells.
links = Table(
    "job_links",
    metadata,
    Column("target", _Key, nullable=False),
    Column("source", _Key, nullable=False),
    PrimaryKeyConstraint("target", "source"),
    **_options(_TEXTS, _WITHOUT_ROWID),
)

uniques = Table(
    "job_uniques",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("job", _Key, nullable=False),
    Column("since", _Moment, nullable=False),
    # With a window: it is free from then on, and not before.
    Column("ends_at", _Moment),
    **_options(_TEXTS, _WITHOUT_ROWID),
)

#: What came with version 5.
BONDS = (batches, members, links, uniques)

versions = Table(
    "tabur_schema",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("applied_at", _Moment, nullable=False),
    **_options(_TEXTS),
)


#: What a Laravel user types works: unfinished jobs and failed ones under Laravel's column names,
#: moments in seconds.
def views(words: Words) -> Mapping[str, str]:
    def seconds(column: str) -> str:
        return words.seconds.format(column)

    ready_id, waiting_id, outcome_id = (words.hex_id.format(f"{each}.id") for each in "ywo")
    payload = words.text_of.format("r.payload")
    return {
        "jobs": f"""
            SELECT {ready_id} AS id, y.queue AS queue, {payload} AS payload,
                   y.attempts AS attempts, {seconds("y.claimed_at")} AS reserved_at,
                   {seconds("r.created_at")} AS available_at,
                   {seconds("r.created_at")} AS created_at, r.name AS name
              FROM job_ready y JOIN job_records r ON r.id = y.id
             UNION ALL
            SELECT {waiting_id}, w.queue, {payload}, w.attempts, NULL, {seconds("w.due_at")},
                   {seconds("r.created_at")}, r.name
              FROM job_waiting w JOIN job_records r ON r.id = w.id
        """,
        "failed_jobs": f"""
            SELECT o.seq AS id, {outcome_id} AS uuid, 'database' AS connection, r.queue AS queue,
                   {payload} AS payload, o.error AS exception,
                   {words.moment.format("o.ended_at")} AS failed_at, r.name AS name
              FROM job_outcomes o JOIN job_records r ON r.id = o.id
             WHERE o.ending = 'failed'
        """,
    }
