"""A folder of a test's own, and empty stores on servers that all these tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.stores import PROGRAMS, STORES, Store
from tabur.model.ids import new_id


@pytest.fixture
def place() -> Iterator[Path]:
    # Not tmp_path, which is kept: a ledger has megabytes.
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        yield Path(name)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, place: Path, require: Callable[..., None]) -> Store:
    """An empty one of each kind in turn. Keys on Redis are told apart by a run's own prefix."""
    name: str = request.param
    require(*PROGRAMS[name])
    if name == "SQLite":
        return Store(name, f"sqlite:///{place}/jobs.sqlite3")
    fixture = {"PostgreSQL": "postgres_server", "MariaDB": "mariadb_server"}
    server = request.getfixturevalue(fixture.get(name, "redis_server"))
    url = server.url() if name == "Redis" else server.create_database(f"f_{new_id().hex()}")
    return Store(name, url, server)
