"""The shop of the tests of callers' transactions, on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabur.model.ids import new_id
from tests.dispatch.shops import ASYNC_CLIENTS, Server, Shop, open_shop

ENGINES = list(ASYNC_CLIENTS)
_SERVERS = {"postgresql": "postgres_server", "mysql": "mariadb_server"}


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest) -> Callable[[str], tuple[str, Server]]:
    """The URL of an engine's database with tables, made once for a module, and its server."""
    known: dict[str, tuple[str, Server]] = {}

    def made(engine: str) -> tuple[str, Server]:
        if engine not in known:
            server: Server = request.getfixturevalue(_SERVERS[engine])
            url = server.create_database(f"shop_{new_id().hex()}")
            open_shop(url)
            known[engine] = (url, server)
        return known[engine]

    return made


@pytest.fixture(params=ENGINES)
def shop(
    request: pytest.FixtureRequest, made: Callable[[str], tuple[str, Server]], tmp_path: Path
) -> Iterator[Shop]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.sqlite3'}"
        open_shop(url)
        shop = Shop(url)
    else:
        shop = Shop(*made(request.param))
        shop.empty()
    shop.jobs.install(shop.engine)
    yield shop
    shop.close()
