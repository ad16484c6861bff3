"""The database driver on MariaDB against the model, by random steps."""

from __future__ import annotations

from sqlalchemy import create_engine, delete, update

from servers.mariadb import MariaDBServer
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.database.schema import metadata, signals, versions
from tabur.testing.conformance import Clock
from tabur.testing.state_machine import state_machine
from tests.effort import ceiling, effort


# Where it fails, finding the shortest story takes its time.
@ceiling()
def test_mariadb(mariadb_server: MariaDBServer) -> None:
    url = mariadb_server.create_database("state_machine")
    engine = create_engine(url)
    tables = [each for each in metadata.sorted_tables if each not in (signals, versions)]

    def emptied(clock: Clock) -> DatabaseDriver:
        driver = DatabaseDriver(url, clock=clock)
        driver.migrate()
        with engine.begin() as connection:
            for table in tables:
                connection.execute(delete(table))
            connection.execute(update(signals).where(signals.c.name == "moment").values(value=0))
        return driver

    machine = state_machine(emptied).TestCase
    machine.settings = effort(6)
    machine("runTest").debug()
    engine.dispose()
