"""One shop on each store, told by nothing but the environment which one it is."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.stores import places
from tests.worker.workshop import Worker, Workshop, make_workshop, until

SHOP = Path(__file__).with_name("shop.py")


@pytest.fixture(scope="package", params=["sqlite", "postgres", "mariadb", "redis"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """QUEUE_CONNECTION, and DATABASE_URL or REDIS_URL. A server is started when it is asked for."""
    name = request.param
    if name == "sqlite":
        return places.sqlite(tmp_path_factory.mktemp("sqlite"))
    server = request.getfixturevalue(f"{name}_server")
    return {
        "postgres": lambda: places.postgres(server, "stories"),
        "mariadb": lambda: places.mariadb(server, "stories"),
        "redis": lambda: places.redis(server, 7),
    }[name]()


@pytest.fixture(scope="package")
def shop(store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        made = make_workshop(folder, SHOP.read_text("utf-8"), patch, store)
        try:
            made.run("migrate")
            made.module = import_module(made.name)
            yield made
        finally:
            made.close()


@pytest.fixture(scope="package")
def working(shop: Workshop) -> list[Worker]:
    return []


@pytest.fixture
def worker(shop: Workshop, working: list[Worker]) -> Worker:
    """Of the queues `high` and `default`; the same one for as many stories as it lives."""
    if not working or working[-1].process.poll() is not None:
        working.append(shop.worker("--queue=high,default", "-v"))
        until(shop.children)
    return working[-1]
