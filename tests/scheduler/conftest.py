"""A shop with schedules on each store, told by nothing but the environment which one it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.stores import places
from tests.worker.workshop import Workshop, make_workshop

STORES = ("sqlite", "postgres", "mariadb", "redis")

JOBS = """
import os
from tabur import JobContext, Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


@jobs.schedule.every_second().missed("all", limit=1000).name("seconds")
@jobs.job()
def second(ctx: JobContext) -> None:
    note("second", ctx.job_id)


@jobs.job()
def other(n: int = 0) -> None:
    note("other", n)


for missed in ("last", "skip", "all"):
    jobs.schedule.job(other).every_minute().missed(missed, limit=4).name(missed)
"""


@pytest.fixture(params=STORES)
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    """An empty store each time; its module is loaded."""
    name = request.param
    if name == "sqlite":
        store = places.sqlite(tmp_path)
    else:
        server = request.getfixturevalue(f"{name}_server")
        database = f"s_{uuid4().hex[:12]}"
        store = {
            "postgres": lambda: places.postgres(server, database),
            "mariadb": lambda: places.mariadb(server, database),
            "redis": lambda: places.redis(server, 8) | {"REDIS_PREFIX": database},
        }[name]()
    made = make_workshop(tmp_path, JOBS, monkeypatch, store)
    for variable, value in store.items():
        monkeypatch.setenv(variable, value)
    try:
        made.load()
        yield made
    finally:
        made.close()
