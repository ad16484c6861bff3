"""Apps on each store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tabur import Tabur

MakeApp = Callable[..., Tabur]


@pytest.fixture(params=["memory", "sqlite", "postgres", "mariadb", "redis"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings that lead to an empty store."""
    return place_of(request.param, request)


def place_of(store: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if store == "memory":
        return {"connection": "memory"}
    if store == "sqlite":
        folder = request.getfixturevalue("tmp_path")
        return {"connection": "database", "database_url": f"sqlite:///{folder}/jobs.sqlite3"}
    server = request.getfixturevalue(f"{store}_server")
    if store == "redis":
        url = server.url()
        return {"connection": "redis", "redis_url": url, "redis_prefix": uuid4().hex}
    url = server.create_database(f"keep_{uuid4().hex}")
    return {"connection": "database", "database_url": url}


@pytest.fixture
def make_app(place: dict[str, Any], tmp_path: Path) -> Iterator[MakeApp]:
    """`make_app(keep_bytes=…)`: an app on the store; all of one test share it, where it is none of
    memory."""
    made: list[Tabur] = []

    def make(**settings: Any) -> Tabur:
        app = Tabur(**place, attachments=tmp_path / "attachments", **settings)
        app.migrate()
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()
