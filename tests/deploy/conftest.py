"""Who reads and runs the generated files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.readers import SupervisorReader
from tests.deploy.yard import NoPython, Yard, a_yard


@pytest.fixture(scope="session")
def supervisor_reader(require: Callable[..., None]) -> Iterator[SupervisorReader]:
    require("supervisord")
    reader = SupervisorReader()
    yield reader
    reader.close()


@pytest.fixture
def units(require: Callable[..., None]) -> Iterator[Path]:
    """A folder that systemd reads units from, whoever it runs as."""
    require("systemd", "systemd-analyze", "setpriv")
    with tempfile.TemporaryDirectory(prefix="tabur-units-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def yard() -> Iterator[Yard]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(a_yard())
        except NoPython as why:
            pytest.skip(str(why))
        yield made
