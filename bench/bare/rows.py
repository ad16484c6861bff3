"""What a bare loop writes: rows like those of the no-op job, in tables made by Tabur."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from bench.adapter import url
from tabur import Tabur

PAYLOAD = b'{"n":12345}'  # what a no-op job of the bench carries
RESULT = b"null"
RECORD = "id, name, queue, rank, isolation, payload, options, created_at"
READY = "id, queue, isolation, rank, attempts, exceptions, crashes"
OUTCOME = "id, attempt, token, ending, worker, started_at, ended_at, result"


def new_ids(count: int) -> list[bytes]:
    """16 bytes that grow with time, as Tabur's do."""
    return [time.time_ns().to_bytes(8, "big") + os.urandom(8) for _ in range(count)]


def microseconds() -> int:
    return time.time_ns() // 1000


def record(job_id: bytes, now: int) -> tuple[object, ...]:
    return (job_id, "noop_async", "default", 0, "loop", PAYLOAD, b"{}", now)


def ready(job_id: bytes) -> tuple[object, ...]:
    return (job_id, "default", "loop", 0, 0, 0, 0)


def make_tables() -> None:
    """By Tabur's own migration."""
    jobs = Tabur(connection="database", database_url=os.environ["BENCH_URL"])
    jobs.migrate()
    jobs.close()


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    user: str
    database: str


def address() -> Address:
    """The store's URL in parts, for a DBAPI connection."""
    where = url().partition("://")[2]
    user, _, rest = where.partition("@")
    server, _, database = rest.partition("/")
    host, _, port = server.partition(":")
    return Address(host, int(port), user, database)
