"""An app with two stores: memory, and a SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabur import Tabur


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Tabur]:
    app = Tabur(
        connection="memory",
        connections=["database"],
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
        key="a secret of these tests",
    )
    app.migrate()
    yield app
    app.close()
