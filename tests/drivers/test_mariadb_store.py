"""What is MariaDB's own: addresses, migrations that were cut off, lost connections, callers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pymysql
import pytest
from sqlalchemy import create_engine, make_url, text

from servers.mariadb import MariaDBServer
from tabur.drivers.contract import Exchange
from tabur.drivers.database import schema
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.database.stores.mysql import client
from tabur.drivers.database.stores.network import Fate
from tabur.errors import ConfigError, SchemaMissing, StoreUnavailable
from tabur.model.ids import idempotent_id, new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.records import NewJob
from tabur.model.states import Isolation, State
from tabur.testing.conformance import Clock, move


@pytest.fixture
def url(mariadb_server: MariaDBServer) -> str:
    return mariadb_server.create_database(f"store_{new_id().hex()}")


@pytest.fixture
def driver(url: str) -> Iterator[DatabaseDriver]:
    driver = DatabaseDriver(url)
    driver.migrate()
    yield driver
    driver.close()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("mysql", "mysql+mysqldb"),
        ("mariadb", "mysql+mysqldb"),
        ("mysql+aiomysql", "mysql+mysqldb"),
        ("mariadb+asyncmy", "mysql+mysqldb"),
        ("mysql+pymysql", "mysql+pymysql"),
        ("mariadb+mysqldb", "mysql+mysqldb"),
    ],
)
def test_an_address_means_the_client_it_names_or_the_fastest(
    given: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_is_installed", lambda _: True)
    assert client.client_for(make_url(f"{given}://u@h/d")).drivername == used


def test_without_mysqlclient_pymysql_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_is_installed", lambda each: each == client.PYMYSQL)
    assert client.client_for(make_url("mysql://u@h/d")).drivername == "mysql+pymysql"


@pytest.mark.parametrize(
    ("url", "advice"),
    [("mysql://u@h/d", r"tabur\[mysql\]"), ("mysql+mysqldb://u@h/d", "pip install mysqlclient")],
)
def test_a_missing_client_is_named(url: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_is_installed", lambda _: False)
    with pytest.raises(ConfigError, match=advice):
        DatabaseDriver(url)


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (pymysql.err.OperationalError(2013, "Lost connection"), Fate.GONE),
        (pymysql.err.OperationalError(1290, "--read-only"), Fate.GONE),
        (pymysql.err.InterfaceError(0, ""), Fate.GONE),
        (pymysql.err.InternalError("Packet sequence number wrong"), Fate.GONE),
        (pymysql.err.OperationalError(1213, "Deadlock found"), Fate.AGAIN),
        (pymysql.err.ProgrammingError(1146, "no such table"), Fate.NO_TABLES),
        (pymysql.err.DataError(1406, "Data too long"), Fate.DATA),
        (pymysql.err.OperationalError(1114, "The table is full"), None),
    ],
)
def test_errors_are_told_apart(error: Exception, fate: Fate | None) -> None:
    assert client.fate_of(error) is fate


def test_a_migration_that_was_cut_off_is_finished_by_the_next(
    driver: DatabaseDriver, url: str
) -> None:
    _run(url, "DELETE FROM tabur_schema", "DROP VIEW jobs", "DROP TABLE job_workers")
    _run(url, "DROP INDEX job_ready_claim ON job_ready", "CREATE TABLE jobs (id int)")
    with pytest.raises(SchemaMissing):
        driver.check()
    assert len(driver.migrate()) == schema.VERSION
    driver.check()
    assert _value(url, "SELECT count(*) FROM job_signals WHERE name = 'identity'") == 1
    assert driver.migrate() == []


def test_what_does_not_fit_is_refused_and_not_cut(driver: DatabaseDriver) -> None:
    with pytest.raises(ConfigError, match="cannot be stored"):
        driver.dispatching.dispatch([_new(tenant="t" * 201)])


def test_one_dispatch_may_be_larger_than_a_statement(driver: DatabaseDriver) -> None:
    jobs = [_new(payload=bytes([n]) * 700_000) for n in range(4)]
    driver.dispatching.dispatch(jobs)
    found = [driver.inspection.find(job.id) for job in jobs]
    assert [each and each.payload for each in found] == [job.payload for job in jobs]


def test_the_clock_is_the_servers_in_whatever_zone(url: str) -> None:
    _run(url, "SET GLOBAL time_zone = '+05:30'")
    driver = DatabaseDriver(url)
    driver.migrate()
    now = driver._store.now()
    driver.close()
    _run(url, "SET GLOBAL time_zone = 'SYSTEM'")
    assert abs(now / 1_000_000 - datetime.now(UTC).timestamp()) < 5


def test_connections_that_were_cut_come_back(
    driver: DatabaseDriver, mariadb_server: MariaDBServer
) -> None:
    driver.dispatching.dispatch([_new()])
    mariadb_server.terminate_backends()
    driver.dispatching.dispatch([_new()])
    mariadb_server.terminate_backends()
    with pytest.raises(StoreUnavailable):  # who only reads is told, and asks again
        driver.inspection.queues()
    assert driver.inspection.queues()[0].pending == 2


def test_a_turn_whose_connection_was_cut_says_so_and_the_next_goes_on(
    driver: DatabaseDriver, mariadb_server: MariaDBServer
) -> None:
    driver.dispatching.dispatch([_new()])
    turn = Exchange(worker="w1", token=new_token(), queues=("default",), slots={Isolation.LOOP: 1})
    (job,) = driver.claiming.exchange(turn).claimed
    settling = Exchange(worker="w1", settle=[move(job, State.COMPLETED)])
    mariadb_server.terminate_backends()
    with pytest.raises(StoreUnavailable, match=r"(?i)connection|server"):
        driver.claiming.exchange(settling)
    assert list(driver.claiming.exchange(settling).settled) == [Settled.DONE]


@pytest.mark.parametrize("dialect", ["mysql+pymysql", "mariadb+pymysql"])
def test_a_callers_transaction_carries_its_jobs(
    driver: DatabaseDriver, url: str, dialect: str
) -> None:
    engine = create_engine(make_url(url).set(drivername=dialect))
    keyed = _new(id=idempotent_id((None, None), "once"))
    with engine.connect() as connection:
        driver.dispatch_in(connection, [_new()])
        connection.rollback()
        driver.dispatch_in(connection, [keyed])
        with connection.begin_nested() as savepoint:
            driver.dispatch_in(connection, [_new()])
            savepoint.rollback()
        driver.dispatch_in(connection, [keyed])
        connection.commit()
    engine.dispose()
    assert driver.inspection.queues()[0].pending == 1


def test_another_database_on_the_same_server_is_another(
    driver: DatabaseDriver, mariadb_server: MariaDBServer
) -> None:
    engine = create_engine(mariadb_server.url())
    with engine.connect() as connection, pytest.raises(ConfigError, match="cannot span both"):
        driver.dispatch_in(connection, [_new()])
    engine.dispose()


def test_the_views_speak_laravels_names(url: str) -> None:
    clock = Clock()
    driver = DatabaseDriver(url, clock=clock)
    driver.migrate()
    job = _new(payload=b'{"order_id": 7}')
    driver.dispatching.dispatch([job])
    assert _value(url, "SELECT payload FROM jobs WHERE queue = 'default'") == '{"order_id": 7}'
    assert _value(url, "SELECT id FROM jobs") == job.id.hex()
    driver.dispatching.cancel(job.id)
    _run(url, "UPDATE job_outcomes SET ending = 'failed'")
    failed_at = _value(url, "SELECT failed_at FROM failed_jobs")
    assert failed_at == datetime.fromtimestamp(clock() / 1_000_000, UTC).replace(tzinfo=None)
    record = driver.inspection.find(job.id)
    assert record is not None
    assert record.state is State.FAILED
    driver.close()


def _run(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _value(url: str, query: str) -> object:
    engine = create_engine(url)
    with engine.connect() as connection:
        found: object = connection.execute(text(query)).scalar()
    engine.dispose()
    return found


def _new(*, id: bytes | None = None, payload: bytes = b"{}", tenant: str | None = None) -> NewJob:
    return NewJob(
        id=id or new_id(),
        name="send",
        queue="default",
        isolation=Isolation.LOOP,
        payload=payload,
        created_at=1_750_000_000_000_000,
        tenant=tenant,
    )
