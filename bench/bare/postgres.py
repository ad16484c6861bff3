"""A bare psycopg loop on Tabur's own tables: one statement and one round trip where it can be."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import psycopg

from bench.adapter import BaseAdapter, url
from bench.bare.rows import (
    OUTCOME,
    READY,
    RECORD,
    RESULT,
    make_tables,
    microseconds,
    new_ids,
    ready,
    record,
)

INSERT = f"""
WITH record AS (INSERT INTO job_records ({RECORD}) VALUES (%b, %s, %s, %s, %s, %b, %b, %s))
INSERT INTO job_ready ({READY}) VALUES (%b, %s, %s, %s, %s, %s, %s)"""
CLAIM = """
UPDATE job_ready y
   SET token = %b, worker = 'host:1', claimed_at = %s, attempts = attempts + 1
  FROM job_records r
 WHERE r.id = y.id AND y.ctid = ANY (ARRAY (
       SELECT ctid FROM job_ready
        WHERE queue = 'default' AND isolation = 'loop' AND token IS NULL
        ORDER BY rank, seq LIMIT %s FOR UPDATE SKIP LOCKED))
RETURNING y.id, r.payload"""
SETTLE = f"""
WITH gone AS (
    DELETE FROM job_ready y USING unnest(%s::bytea[]) AS e(id)
     WHERE y.id = e.id AND y.token = %b RETURNING y.id)
INSERT INTO job_outcomes ({OUTCOME})
SELECT id, 1, %b, 'completed', 'host:1', %s, %s, %b FROM gone"""
#: The plan that is right for a full table, also while the statistics are those of an empty one:
#: another one was 300 times slower. Made once.
PLAN = """
SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;
SET enable_hashjoin = off; SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan; SET jit = off"""


class Adapter(BaseAdapter):
    """One connection; autocommit, so that each statement is a transaction."""

    def prepare(self) -> None:
        make_tables()
        self._db = psycopg.connect(url("postgresql"), autocommit=True)
        self._db.execute(PLAN)

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        execute = self._db.execute
        for _ in numbers:
            (job_id,) = new_ids(1)
            execute(INSERT, record(job_id, microseconds()) + ready(job_id), prepare=True)

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        ids, now = new_ids(len(numbers)), microseconds()
        with self._db.transaction(), self._db.cursor() as cursor:
            with cursor.copy(f"COPY job_records ({RECORD}) FROM STDIN") as copy:
                for job_id in ids:
                    copy.write_row(record(job_id, now))
            with cursor.copy(f"COPY job_ready ({READY}) FROM STDIN") as copy:
                for job_id in ids:
                    copy.write_row(ready(job_id))

    def unfinished(self) -> int:
        row = self._db.execute("SELECT count(*) FROM job_ready").fetchone()
        return int(row[0]) if row else 0

    def drain(self, batch: int) -> int:
        """What has ended is settled and what is free is claimed in one transaction."""
        drained, token = 0, b""
        held = [token]  # nothing has this id: the first turn settles nothing
        while held:
            now, before, token = microseconds(), token, os.urandom(16)
            with self._db.pipeline():
                self._db.execute(SETTLE, (held, before, before, now, now, RESULT), prepare=True)
                claim = self._db.execute(CLAIM, (token, now, batch), prepare=True)
                held = [job_id for job_id, _ in claim.fetchall()]
            drained += len(held)
        return drained

    def close(self) -> None:
        self._db.close()
