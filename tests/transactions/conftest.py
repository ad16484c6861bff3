"""A bench on each engine, with sessions of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabur.model.ids import new_id
from tests.dispatch.shops import Server, open_shop
from tests.transactions.bench import WAYS, Bench

_SERVERS = {"postgresql": "postgres_server", "mysql": "mariadb_server"}


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest) -> Callable[[str], tuple[str, Server]]:
    """The URL of a server's database with tables, made once for a module, and the server."""
    known: dict[str, tuple[str, Server]] = {}

    def made(engine: str) -> tuple[str, Server]:
        if engine not in known:
            server: Server = request.getfixturevalue(_SERVERS[engine])
            url = server.create_database(f"bench_{new_id().hex()}")
            open_shop(url)
            known[engine] = (url, server)
        return known[engine]

    return made


@pytest.fixture(params=WAYS)
def bench(
    request: pytest.FixtureRequest, made: Callable[[str], tuple[str, Server]], tmp_path: Path
) -> Iterator[Bench]:
    engine, _, client = request.param.partition("+")
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.sqlite3'}"
        open_shop(url)
        bench = Bench(url, None, client or None)
    else:
        bench = Bench(*made(engine), client or None)
        bench.empty()
    bench.jobs.install(bench.engine)
    yield bench
    assert bench.checked_out() == 0
    bench.close()
