"""The shop that is given bad input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workshop import Workshop, make_workshop

JOBS = Path(__file__).with_name("jobs.py").read_text("utf-8")


@pytest.fixture
def store() -> dict[str, str] | None:
    """QUEUE_CONNECTION, and DATABASE_URL or REDIS_URL; None: a SQLite file."""
    return None


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: dict[str, str] | None
) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, JOBS, monkeypatch, store)
    try:
        made.load()
        yield made
    finally:
        made.close()
