"""An app whose jobs write down that they ran; on `memory`, run when the test says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.composing.mill import Mill


@pytest.fixture
def mill() -> Iterator[Mill]:
    made = Mill("memory")
    yield made
    made.jobs.close()
