"""Empty databases on each engine of the driver `database`, and Redis servers of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from servers.redis import RedisServer
from tabur.drivers.redis.driver import RedisDriver
from tabur.model.ids import new_id

ENGINES = ("sqlite", "postgresql", "mysql")


@pytest.fixture(scope="session")
def make_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """`make_database("postgresql")` answers the URL of an empty database of its own."""

    def make(engine: str) -> str:
        name = f"t_{new_id().hex()}"
        if engine == "sqlite":
            folder: Path = tmp_path_factory.mktemp(name)
            return f"sqlite:///{folder}/jobs.sqlite3"
        fixture = {"postgresql": "postgres_server", "mysql": "mariadb_server"}[engine]
        url: str = request.getfixturevalue(fixture).create_database(name)
        return url

    return make


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> str:
    """An empty database, on each engine in turn."""
    return make_database(request.param)


@pytest.fixture
def start(require: Callable[..., None]) -> Iterator[Callable[..., RedisServer]]:
    """Starts servers of the test's own, with options."""
    require("redis-server")
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        started.append(RedisServer.start(*options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., RedisDriver]]:
    """Drivers that are closed at the end of the test."""
    made: list[RedisDriver] = []

    def connect(url: str, **given: object) -> RedisDriver:
        made.append(RedisDriver(url, prefix=uuid4().hex, **given))  # type: ignore[arg-type]  # some tests give what is refused
        return made[-1]

    yield connect
    for driver in made:
        driver.close()
