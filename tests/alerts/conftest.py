"""Fixtures of the alerts' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabur.model.ids import new_id
from tests.alerts.receivers import PostOffice, Receiver, post_office, receiver
from tests.alerts.shop import Shop, mail_settings
from tests.alerts.stores import STORES, MakeDriver


@pytest.fixture
def post() -> Iterator[PostOffice]:
    with post_office() as made:
        yield made


@pytest.fixture
def http() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def shop(post: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(**mail_settings(post), env="test")


@pytest.fixture(params=STORES)
def make_driver(request: pytest.FixtureRequest, tmp_path: Path) -> MakeDriver:
    """An empty store of each kind."""
    from tabur.drivers.database.driver import DatabaseDriver
    from tabur.drivers.memory.driver import MemoryDriver
    from tabur.drivers.redis.driver import RedisDriver

    name = f"t_{new_id().hex()}"
    match request.param:
        case "memory":
            return lambda clock: MemoryDriver(clock=clock)
        case "sqlite":
            url = f"sqlite:///{tmp_path}/jobs.sqlite3"
        case "redis":
            address = request.getfixturevalue("redis_server").url()
            return lambda clock: RedisDriver(address, prefix=name, clock=clock)
        case _:
            server = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}[request.param]
            url = request.getfixturevalue(server).create_database(name)
    return lambda clock: DatabaseDriver(url, clock=clock)
