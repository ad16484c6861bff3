"""PostgreSQL's settings, and PgBouncer on the way to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer
from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting


@pytest.fixture
def database(bare: Project, postgres_server: PostgresServer, setting: Setting) -> str:
    """The name of one that has its tables."""
    name = f"doctor_{bare.folder.name.replace('-', '_')}"[:60]
    setting("DATABASE_URL", postgres_server.create_database(name))
    bare.jobs.migrate()
    return name


def test_pgbouncer_by_transactions(
    database: str,
    doctor: Ask,
    setting: Setting,
    postgres_server: PostgresServer,
    require: Callable[..., None],
) -> None:
    require("pgbouncer")
    assert not {"pgbouncer", "pgbouncer-not-there"} & doctor().keys()
    with PgBouncer.start(postgres_server) as bouncer:
        setting("DATABASE_URL", bouncer.url(database))
        found = doctor()["pgbouncer"]
        assert found["level"] == "error"
        assert "?pooler=transaction" in found["todo"]
        setting("DATABASE_URL", f"{bouncer.url(database)}?pooler=transaction")
        assert not {"pgbouncer", "pgbouncer-not-there"} & doctor().keys()


def test_pgbouncer_by_sessions_does_no_harm(
    database: str,
    doctor: Ask,
    setting: Setting,
    postgres_server: PostgresServer,
    require: Callable[..., None],
) -> None:
    require("pgbouncer")
    with PgBouncer.start(postgres_server, mode="session") as bouncer:
        setting("DATABASE_URL", bouncer.url(database))
        assert "pgbouncer" not in doctor()
        setting("DATABASE_URL", f"{bouncer.url(database)}?pooler=transaction")
        assert "in session mode" in doctor()["pgbouncer-not-there"]["what"]


def test_a_pooler_that_is_not_there(
    database: str, doctor: Ask, setting: Setting, postgres_server: PostgresServer
) -> None:
    setting("DATABASE_URL", f"{postgres_server.url(database)}?pooler=transaction")
    found = doctor()["pgbouncer-not-there"]
    assert found["level"] == "note"
    assert "not there" in found["what"]


def test_settings_that_lose_jobs(
    bare: Project, doctor: Ask, setting: Setting, require: Callable[..., None]
) -> None:
    require("postgres")
    off = {"fsync": "off", "synchronous_commit": "off", "autovacuum": "off"}
    with PostgresServer.start(settings=off) as server:
        setting("DATABASE_URL", server.url())
        bare.jobs.migrate()
        found = doctor()
        assert found["postgres-durability"]["level"] == "warning"
        assert found["postgres-autovacuum"]["level"] == "warning"
        bare.close()
        told = bare.run("doctor", code=1).stdout
        assert "fsync is off" in told
        assert "synchronous_commit is off" in told
