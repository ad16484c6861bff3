"""The database driver keeps the contract on MariaDB."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, delete, update

from servers.mariadb import MariaDBServer
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.database.schema import metadata, signals
from tabur.testing.conformance import (
    ACROSS_PROCESSES,
    FENCING,
    OBLIGATIONS,
    MakeDriver,
    Obligation,
    check,
)
from tests.drivers.elsewhere import advancing_elsewhere, dispatching_elsewhere


@pytest.fixture(scope="module")
def migrated(mariadb_server: MariaDBServer) -> str:
    url = mariadb_server.create_database("contract")
    driver = DatabaseDriver(url)
    driver.migrate()
    driver.close()
    return url


@pytest.fixture
def url(migrated: str) -> str:
    """The same tables for all, emptied: to make them again takes longer than most tests."""
    empty(migrated)
    return migrated


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


def empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name not in ("tabur_schema", "job_signals"):
                connection.execute(delete(table))
        counted = signals.c.name.in_(("restart", "moment"))
        connection.execute(update(signals).where(counted).values(value=0))
    engine.dispose()
