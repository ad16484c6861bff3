"""Jobs that go through middleware, in a worker of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workshop import Workshop, make_workshop

JOBS = Path(__file__).with_name("jobs.py")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, JOBS.read_text("utf-8"), monkeypatch)
    try:
        made.load()
        yield made
    finally:
        made.close()
