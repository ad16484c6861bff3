"""The database driver keeps the contract on PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest

from servers.postgres import PostgresServer
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.database.stores.polling import PollingListener
from tabur.drivers.database.stores.postgres import store
from tabur.model.clock import now_us
from tabur.model.ids import new_id
from tabur.model.records import NewJob
from tabur.model.states import Isolation
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
def url(postgres_server: PostgresServer) -> str:
    """The server's one database, with whatever stood in it gone."""
    url = postgres_server.url()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return url


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


def test_about_names_who_keeps_dead_rows_from_being_removed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_HORIZON", store._HORIZON.replace("'1 minute'", "'0 minutes'"))
    driver = DatabaseDriver(url)
    driver.migrate()
    holding = psycopg.connect(url.replace("+psycopg", ""), application_name="monthly report")
    try:
        holding.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holding.execute("SELECT 1")
        said = driver.check()["held back by"]
        assert f"process {holding.info.backend_pid} (tabur, monthly report, idle in" in said
        holding.rollback()
        assert "monthly report" not in driver.check()["held back by"]
    finally:
        holding.close()
        driver.close()


def test_behind_a_pooler_nothing_is_kept_between_transactions(url: str) -> None:
    """No LISTEN, no settings of the session, no prepared statements; work is found by looking."""
    driver = DatabaseDriver(f"{url}?pooler=transaction")
    driver.migrate()
    for _ in range(8):  # a statement would be prepared from the sixth time on
        driver.dispatching.dispatch(
            [NewJob(new_id(), "send", "default", Isolation.THREAD, b"{}", now_us())]
        )
    listener = driver.listen()
    try:
        assert isinstance(listener, PollingListener)
        with driver._store.read() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            assert cursor.fetchone() == (0,)
            cursor.execute("SHOW enable_seqscan")
            assert cursor.fetchone() == ("on",)
        assert driver.check()["woken by"].startswith("looking")
    finally:
        listener.close()
        driver.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_url_of_another_client_leads_to_ours(url: str, scheme: str) -> None:
    driver = DatabaseDriver(url.replace("postgresql+psycopg", scheme))
    driver.migrate()
    assert driver.inspection.queues() == []
    driver.close()
