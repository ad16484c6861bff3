"""Any graph of jobs ends as the rules say, on each store."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from hypothesis import given

from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.memory.driver import MemoryDriver
from tabur.drivers.redis.driver import RedisDriver
from tabur.testing.conformance import MakeDriver, Subject
from tabur.testing.graph_runs import Story, check_story, stories
from tests.drivers.conftest import ENGINES
from tests.effort import ceiling, effort


@pytest.fixture
def make_driver(
    store: str, request: pytest.FixtureRequest, make_database: Callable[[str], str]
) -> MakeDriver:
    if store == "memory":
        return lambda clock: MemoryDriver(clock=clock)
    if store == "redis":
        url = request.getfixturevalue("redis_server").url()
        return lambda clock: RedisDriver(url, prefix=uuid4().hex, clock=clock)
    url = make_database(store)
    return lambda clock: DatabaseDriver(url, clock=clock)


# Where it fails, finding the shortest story takes its time.
@ceiling()
@pytest.mark.parametrize("store", ["memory", "redis", *ENGINES])
def test_a_graph_ends_as_the_rules_say(store: str, make_driver: MakeDriver) -> None:
    """All stories of one store are told in it, one after the other."""
    subject = Subject(make_driver)

    @effort(200 if store == "memory" else 10)
    @given(stories())
    def told(story: Story) -> None:
        check_story(subject, story)

    told()
    subject.driver.close()
