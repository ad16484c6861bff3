"""Empty databases, on each engine of the driver `database`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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
