"""The database driver keeps the contract on SQLite."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from tabur.drivers.database.driver import DatabaseDriver
from tabur.testing.conformance import (
    ACROSS_PROCESSES,
    FENCING,
    OBLIGATIONS,
    MakeDriver,
    Obligation,
    check,
)
from tests.drivers.elsewhere import advancing_elsewhere, dispatching_elsewhere


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.sqlite3"


@pytest.fixture
def make_driver(url: str) -> MakeDriver:
    return lambda clock: DatabaseDriver(url, clock=clock)


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=lambda each: each.__name__)
def test_the_database_driver(obligation: Obligation, make_driver: MakeDriver) -> None:
    check(obligation, make_driver)


@pytest.mark.parametrize("obligation", FENCING, ids=lambda each: each.__name__)
def test_in_a_jobs_own_transaction(obligation: Obligation, make_driver: MakeDriver) -> None:
    check(obligation, make_driver)


@pytest.mark.parametrize("obligation", ACROSS_PROCESSES, ids=lambda each: each.__name__)
def test_between_processes(
    obligation: Obligation,
    make_driver: MakeDriver,
    url: str,
) -> None:
    check(
        obligation,
        make_driver,
        dispatch_elsewhere=dispatching_elsewhere(url),
        advance_elsewhere=advancing_elsewhere(url),
    )


def test_a_new_file_that_another_process_is_writing_is_waited_for(tmp_path: Path, url: str) -> None:
    other = sqlite3.connect(
        tmp_path / "jobs.sqlite3", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")  # with the journal that a new file begins with
    ending = threading.Timer(0.3, other.execute, ("COMMIT",))
    ending.start()
    driver = DatabaseDriver(url)
    try:
        assert driver.migrate()
    finally:
        ending.join()
        driver.close()
        other.close()
