"""The redis driver against the model, by random steps."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from servers.redis import RedisServer
from tabur.drivers.redis.driver import RedisDriver
from tabur.testing.conformance import Clock
from tabur.testing.state_machine import DriverMachine
from tests.effort import ceiling, effort


class RedisMachine(DriverMachine):
    """Each run has keys of its own."""

    url = ""

    @staticmethod
    def make_driver(clock: Clock) -> RedisDriver:
        return RedisDriver(RedisMachine.url, prefix=uuid4().hex, clock=clock, timeout=60)


@pytest.fixture(scope="module", autouse=True)
def _the_server(redis_server: RedisServer) -> Iterator[None]:
    RedisMachine.url = redis_server.url()
    yield
    redis_server.ask("FLUSHALL")


TestRedis = ceiling()(RedisMachine.TestCase)
TestRedis.settings = effort(15)
