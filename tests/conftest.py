"""What holds for all tests, and the servers that some of them ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from servers.find import Missing, binary
from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.redis import RedisCluster, RedisServer

# A machine that is busy is no defect: times have tests of their own, with generous ceilings.
settings.register_profile("tabur", deadline=None)
settings.load_profile("tabur")


# One of each for a session, and with xdist for a worker; started when the first test asks.
# What survives a crash of the machine is for the fault tests, which start servers of their own.


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    require("postgres")
    with PostgresServer.start(settings={"fsync": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    require("mariadbd", "mariadb-install-db")
    with MariaDBServer.start(settings={"innodb-flush-log-at-trx-commit": "0"}) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    require("redis-server")
    with RedisServer.start() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    require("redis-server")
    with RedisCluster.start() as cluster:
        yield cluster


def require(*programs: str) -> None:
    """Skips the test where one is missing; with CI set it fails instead."""
    for program in programs:
        try:
            binary(program)
        except Missing as missing:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(missing))
