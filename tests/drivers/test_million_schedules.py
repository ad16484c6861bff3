"""With a million schedules stored, it is found at once what is due; each store is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import median
from time import perf_counter
from uuid import uuid4

import pytest

from servers.redis import RedisServer
from tabur.drivers.contract import Driver
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.redis.driver import RedisDriver
from tabur.model.schedules import Advance, Decision, Origin, ScheduleRecord, Tick
from tests.drivers.conftest import ENGINES
from tests.drivers.skew import DUE_AT, FEW, MADE_AT, fill_schedules

MILLION = 1_000_000
#: Milliseconds, of the middle one of so many tries.
CEILING, TRIES = 50, 21

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(params=[*ENGINES, "redis"])
def driver(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> Iterator[Driver]:
    def clock() -> int:
        return MADE_AT

    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        redis = RedisDriver(server.url(), prefix=uuid4().hex, clock=clock)
        for first in range(0, MILLION, 50_000):
            redis.schedules.put([_later(n) for n in range(first, first + 50_000)])
        redis.schedules.put([_schedule(f"due{n}", MADE_AT - n) for n in range(FEW)])
        yield redis
        server.ask("FLUSHALL")
        redis.close()
        return
    url = make_database(request.param)
    with closing(DatabaseDriver(url, clock=clock)) as database:
        database.migrate()
        fill_schedules(url, MILLION)
        yield database


def test_what_is_due_is_found_at_once(driver: Driver) -> None:
    schedules = driver.schedules
    found = schedules.due(limit=100)
    assert {each.name.rstrip("0123456789") for each in found.due} == {"due"}
    assert len(found.due) == FEW
    assert found.next_due is not None
    assert found.next_due >= DUE_AT
    assert _middle(lambda: schedules.due(limit=100)) < CEILING
    assert _middle(lambda: schedules.find("s00500000")) < CEILING
    assert _middle(lambda: schedules.list(limit=100, after="s00500000")) < CEILING
    assert _middle(lambda: schedules.ticks(None, limit=100)) < CEILING
    assert _middle(lambda: schedules.put([], origin=Origin.CODE)) < CEILING

    moment = MADE_AT

    def advance() -> None:
        nonlocal moment
        (due,) = [each for each in schedules.due(limit=100).due if each.name == found.due[0].name]
        assert due.next_run_at is not None
        moment -= 1  # still due, for the next try
        tick = Tick(due.name, due.next_run_at, Decision.SKIPPED, MADE_AT)
        move = Advance(due.name, 1, due.next_run_at, (tick,), moment)
        assert schedules.advance([move]) == [True]

    assert _middle(advance) < CEILING


def _middle(act: Callable[[], object]) -> float:
    """Milliseconds."""
    took = []
    for _ in range(TRIES):
        began = perf_counter()
        act()
        took.append((perf_counter() - began) * 1000)
    return median(took)


def _later(n: int) -> ScheduleRecord:
    return _schedule(f"s{n:08}", DUE_AT + n * 1000)


def _schedule(name: str, next_run_at: int) -> ScheduleRecord:
    return ScheduleRecord(name, Origin.TABLE, b"{}", "* * * * *", "UTC", next_run_at)
