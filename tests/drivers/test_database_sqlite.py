"""The database driver keeps the contract on SQLite."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.records import NewJob
from tabur.testing.conformance import (
    ACROSS_PROCESSES,
    OBLIGATIONS,
    MakeDriver,
    Obligation,
    check,
)

IN_ANOTHER_PROCESS = """
import base64, sys, msgspec
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.records import NewJob
driver = DatabaseDriver(sys.argv[1])
driver.dispatching.dispatch([msgspec.msgpack.decode(base64.b64decode(sys.argv[2]), type=NewJob)])
driver.close()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.sqlite3"


@pytest.fixture
def make_driver(url: str) -> MakeDriver:
    return lambda clock: DatabaseDriver(url, clock=clock)


@pytest.fixture
def dispatch_elsewhere(url: str) -> Callable[[NewJob], None]:
    def dispatch(job: NewJob) -> None:
        encoded = b64encode(msgspec.msgpack.encode(job)).decode()
        subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, url, encoded], check=True)

    return dispatch


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=lambda each: each.__name__)
def test_the_database_driver(obligation: Obligation, make_driver: MakeDriver) -> None:
    check(obligation, make_driver)


@pytest.mark.parametrize("obligation", ACROSS_PROCESSES, ids=lambda each: each.__name__)
def test_between_processes(
    obligation: Obligation,
    make_driver: MakeDriver,
    dispatch_elsewhere: Callable[[NewJob], None],
) -> None:
    check(obligation, make_driver, dispatch_elsewhere=dispatch_elsewhere)
