"""What holds for all tests, and the servers that some of them ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from servers.clock import PROGRAM as OF_CLOCKS
from servers.find import Missing, binary
from servers.hosts import PROGRAMS as OF_HOSTS
from servers.hosts import Network, NoHosts
from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.redis import RedisCluster, RedisServer
from tests.effort import THOROUGH, USUAL

# A machine that is busy is no defect: times have tests of their own, with generous ceilings.
settings.register_profile("tabur", deadline=None, max_examples=USUAL)
settings.register_profile("thorough", deadline=None, max_examples=THOROUGH)
settings.load_profile("tabur")


@pytest.fixture(scope="session", autouse=True)
def _children_are_not_covered(request: pytest.FixtureRequest) -> None:
    """Coverage of processes that tests start costs a third of all time. `make test` does without
    and looks at what runs in its own; `make test-all` has both."""
    if "not slow" in request.config.option.markexpr:
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture(scope="session")
def require() -> Callable[..., None]:
    """`require("postgres")` skips a test where that program is missing; with CI set it fails."""

    def require(*programs: str) -> None:
        for program in programs:
            try:
                binary(program)
            except Missing as missing:
                (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))

    return require


# One of each for a session, and with xdist for a worker; started when the first test asks.
# What survives a crash is for the fault tests, which start servers of their own: these do not
# wait for the disk.


@pytest.fixture(scope="session")
def postgres_server(require: Callable[..., None]) -> Iterator[PostgresServer]:
    require("postgres")
    with PostgresServer.start(settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(require: Callable[..., None]) -> Iterator[MariaDBServer]:
    require("mariadbd", "mariadb-install-db")
    with MariaDBServer.start(settings={"innodb-flush-log-at-trx-commit": "0"}) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(require: Callable[..., None]) -> Iterator[RedisServer]:
    require("redis-server")
    with RedisServer.start() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(require: Callable[..., None]) -> Iterator[RedisCluster]:
    require("redis-server")
    with RedisCluster.start() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def network(require: Callable[..., None]) -> Iterator[Network]:
    """For hosts of a module's own. It needs root."""
    require(*OF_HOSTS, OF_CLOCKS)
    try:
        made = Network()
    except NoHosts as why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(why))
    with made:
        yield made
