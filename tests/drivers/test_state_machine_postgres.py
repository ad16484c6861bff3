"""The database driver on PostgreSQL against the model, by random steps."""

from __future__ import annotations

import psycopg

from servers.postgres import PostgresServer
from tabur.drivers.database.driver import DatabaseDriver
from tabur.testing.conformance import Clock
from tabur.testing.state_machine import state_machine
from tests.effort import ceiling, effort

TABLES = (
    "job_records, job_ready, job_waiting, job_outcomes, job_progress, job_attachments, job_pauses, "
    "job_batches, job_members, job_links, job_uniques"
)


# Where it fails, finding the shortest story takes its time.
@ceiling()
def test_postgres(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database("state_machine")

    def emptied(clock: Clock) -> DatabaseDriver:
        driver = DatabaseDriver(url, clock=clock)
        driver.migrate()
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute(f"TRUNCATE {TABLES}")
            connection.execute("UPDATE job_signals SET value = 0 WHERE name = 'moment'")
        return driver

    machine = state_machine(emptied).TestCase
    machine.settings = effort(10)
    machine("runTest").debug()
