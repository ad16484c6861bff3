"""One server for each module; an empty store and hosts of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.hosts import Host, Network
from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.redis import RedisServer
from tests.hosts.fleet import Fleet

Server = PostgresServer | MariaDBServer | RedisServer
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["postgres", "mariadb", "redis"])
def server(
    request: pytest.FixtureRequest, network: Network, require: Callable[..., None]
) -> Iterator[Server]:
    match request.param:
        case "postgres":
            require("postgres")
            made: Server = PostgresServer.start(settings={"fsync": "off"}, host=network.address)
        case "mariadb":
            require("mariadbd", "mariadb-install-db")
            lazy = {"innodb-flush-log-at-trx-commit": "0"}
            made = MariaDBServer.start(settings=lazy, host=network.address)
        case _:
            require("redis-server")
            made = RedisServer.start(host=network.address)
    with made:
        yield made


@pytest.fixture
def fleet(server: Server, tmp_path: Path) -> Iterator[Fleet]:
    if isinstance(server, RedisServer):
        server.ask("FLUSHALL")
        store = {"QUEUE_CONNECTION": "redis", "REDIS_URL": server.url()}
    else:
        url = server.create_database(f"fleet{next(_numbers)}")
        store = {"QUEUE_CONNECTION": "database", "DATABASE_URL": url}
    made = Fleet(tmp_path, store)
    yield made
    made.close()


@pytest.fixture
def make_host(network: Network) -> Iterator[Callable[..., Host]]:
    """Makes hosts as `Network.host` does; they are gone when the test ends."""
    made: list[Host] = []

    def make(name: str, *, clock: float = 0.0, delay: float = 0.0) -> Host:
        made.append(network.host(name, clock=clock, delay=delay))
        return made[-1]

    yield make
    for each in made:
        each.crash()
