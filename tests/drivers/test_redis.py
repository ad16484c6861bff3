"""The redis driver keeps the contract."""

from __future__ import annotations

from uuid import uuid4

import pytest

from servers.redis import RedisServer
from tabur.drivers.contract import Filter
from tabur.drivers.redis import inspection
from tabur.drivers.redis.driver import RedisDriver
from tabur.testing.conformance import (
    ACROSS_PROCESSES,
    OBLIGATIONS,
    MakeDriver,
    Obligation,
    Subject,
    check,
)
from tests.drivers.elsewhere import advancing_elsewhere, dispatching_elsewhere


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def make_driver(redis_server: RedisServer, prefix: str) -> MakeDriver:
    return lambda clock: RedisDriver(redis_server.url(), prefix=prefix, clock=clock)


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=lambda each: each.__name__)
def test_the_redis_driver(obligation: Obligation, make_driver: MakeDriver) -> None:
    check(obligation, make_driver)


@pytest.mark.parametrize("obligation", ACROSS_PROCESSES, ids=lambda each: each.__name__)
def test_between_processes(
    obligation: Obligation,
    make_driver: MakeDriver,
    redis_server: RedisServer,
    prefix: str,
) -> None:
    url = redis_server.url()
    check(
        obligation,
        make_driver,
        dispatch_elsewhere=dispatching_elsewhere(url, prefix=prefix),
        advance_elsewhere=advancing_elsewhere(url, prefix=prefix),
    )


LOOKED_AT = (".inspecting", ".moving", ".overseeing")
LOOKING = [each for each in OBLIGATIONS if each.__module__.endswith(LOOKED_AT)]


@pytest.mark.parametrize("obligation", LOOKING, ids=lambda each: each.__name__)
def test_among_many_jobs_it_is_looked_for_page_by_page(
    obligation: Obligation, make_driver: MakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where more jobs stand in each state than are looked through at once."""
    monkeypatch.setattr(inspection, "FEW", -1)
    monkeypatch.setattr(inspection, "PAGE", 3)
    check(obligation, make_driver)


def test_large_records_are_read_in_several_short_scripts(make_driver: MakeDriver) -> None:
    store = Subject(make_driver)
    jobs = [store.put(payload=bytes(1_000_000), name=f"import-{n}") for n in range(9)]
    listed = store.driver.inspection.list(Filter(), limit=20)
    assert [each.id for each in listed] == [job.id for job in reversed(jobs)]
    (found,) = store.driver.inspection.list(Filter(name="import-3"), limit=20)
    assert found.id == jobs[3].id
    store.driver.close()
