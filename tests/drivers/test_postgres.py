"""The database driver keeps the contract on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from servers.postgres import PostgresServer
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.records import NewJob
from tabur.testing.conformance import (
    ACROSS_PROCESSES,
    OBLIGATIONS,
    MakeDriver,
    Obligation,
    check,
)
from tests.drivers.elsewhere import dispatch_in_another_process


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """The server's one database, with whatever stood in it gone."""
    url = postgres_server.url()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return url


@pytest.fixture
def make_driver(url: str) -> MakeDriver:
    return lambda clock: DatabaseDriver(url, clock=clock)


@pytest.fixture
def dispatch_elsewhere(url: str) -> Callable[[NewJob], None]:
    return lambda job: dispatch_in_another_process(url, job)


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
