"""A bare PyMySQL loop on Tabur's own tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import pymysql

from bench.adapter import BaseAdapter
from bench.bare.rows import (
    OUTCOME,
    READY,
    RECORD,
    RESULT,
    address,
    make_tables,
    microseconds,
    new_ids,
    ready,
    record,
)

INSERT_RECORD = f"INSERT INTO job_records ({RECORD}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
INSERT_READY = f"INSERT INTO job_ready ({READY}) VALUES (%s, %s, %s, %s, %s, %s, %s)"
#: Placeholders only: with anything else among the values PyMySQL sends them one by one.
INSERT_OUTCOME = f"INSERT INTO job_outcomes ({OUTCOME}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
FREE = """
SELECT seq, id FROM job_ready FORCE INDEX (job_ready_claim)
 WHERE queue = 'default' AND isolation = 'loop' AND token IS NULL
 ORDER BY `rank`, seq LIMIT %s FOR UPDATE SKIP LOCKED"""
CLAIM = (
    "UPDATE job_ready SET token = %s, worker = 'host:1', claimed_at = %s, attempts = attempts + 1"
    " WHERE seq IN %s"
)
PAYLOADS = "SELECT id, payload FROM job_records WHERE id IN %s"
SETTLE = "DELETE FROM job_ready WHERE seq IN %s AND token = %s"


class Adapter(BaseAdapter):
    """One connection, READ COMMITTED; every dispatch and every turn is a transaction."""

    def prepare(self) -> None:
        make_tables()
        where = address()
        self._db = pymysql.connect(
            host=where.host,
            port=where.port,
            user=where.user,
            database=where.database,
            autocommit=False,
            binary_prefix=True,
        )
        self._cursor = self._db.cursor()
        self._cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        self._cursor.execute("SET NAMES utf8mb4 COLLATE utf8mb4_bin")

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        for _ in numbers:
            self.dispatch_many(range(1))

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        ids, now = new_ids(len(numbers)), microseconds()
        self._cursor.executemany(_quoted(INSERT_RECORD), [record(job_id, now) for job_id in ids])
        self._cursor.executemany(_quoted(INSERT_READY), [ready(job_id) for job_id in ids])
        self._db.commit()

    def unfinished(self) -> int:
        self._cursor.execute("SELECT count(*) FROM job_ready")
        ((count,),) = self._cursor.fetchall()
        self._db.commit()
        return int(count)

    def drain(self, batch: int) -> int:
        """What has ended is settled and what is free is claimed in one transaction."""
        drained, token = 0, b""
        held: Sequence[tuple[Any, ...]] = ()
        while True:
            now = microseconds()
            if held:
                self._cursor.execute(SETTLE, ([seq for seq, _ in held], token))
                self._cursor.executemany(
                    INSERT_OUTCOME,
                    [
                        (job_id, 1, token, "completed", "host:1", now, now, RESULT)
                        for _, job_id in held
                    ],
                )
            token = os.urandom(16)
            self._cursor.execute(FREE, (batch,))
            held = self._cursor.fetchall()
            if held:
                self._cursor.execute(CLAIM, (token, now, [seq for seq, _ in held]))
                self._cursor.execute(PAYLOADS, ([job_id for _, job_id in held],))
                self._cursor.fetchall()
            self._db.commit()
            if not held:
                return drained
            drained += len(held)

    def close(self) -> None:
        self._db.close()


def _quoted(statement: str) -> str:
    """`rank` is a function's name since MariaDB 10.2 and MySQL 8."""
    return statement.replace(" rank,", " `rank`,")
