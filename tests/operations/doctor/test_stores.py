"""Stores that are away, not made, old, damaged; and clocks that are not theirs."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from servers.clock import PROGRAM, Clock
from servers.postgres import PostgresServer
from servers.redis import RedisServer
from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting


def database_of(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """The URL of an empty one."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/other.sqlite3"
    server = request.getfixturevalue(f"{kind}_server")
    name = f"doctor_{folder.name.replace('-', '_')}"[:60]
    url: str = server.create_database(name)
    return url


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb"])
def test_tables_that_are_missing_old_or_newer(
    kind: str, bare: Project, doctor: Ask, setting: Setting, request: pytest.FixtureRequest
) -> None:
    url = database_of(request, kind, bare.folder)
    setting("DATABASE_URL", url)
    found = doctor()
    assert found["tables-missing"]["level"] == "error"
    assert found["tables-missing"]["todo"] == "tabur migrate"
    bare.jobs.migrate()
    assert not {"tables-missing", "tables-old", "tables-newer"} & doctor().keys()
    engine = create_engine(url)
    with engine.begin() as connection:
        newest = connection.execute(text("SELECT max(version) FROM tabur_schema")).scalar_one()
        connection.execute(text(f"DELETE FROM tabur_schema WHERE version = {newest}"))
    assert f"version {newest - 1}, and {newest} is needed" in doctor()["tables-old"]["what"]
    with engine.begin() as connection:
        for version in (newest, newest + 1):
            connection.execute(text(f"INSERT INTO tabur_schema VALUES ({version}, 0)"))
    engine.dispose()
    assert doctor()["tables-newer"]["level"] == "warning"


def test_an_outbox_without_its_table(
    bare: Project, doctor: Ask, setting: Setting, redis_server: RedisServer
) -> None:
    setting("QUEUE_CONNECTION", "redis")
    setting("REDIS_URL", redis_server.url(11))
    setting("TABUR_OUTBOX_URL", f"sqlite:///{bare.folder}/shop.sqlite3")
    assert "job_outbox" in doctor()["tables-missing"]["what"]
    bare.jobs.migrate()
    assert "tables-missing" not in doctor()


def test_a_store_that_is_away(
    project: Project, doctor: Ask, setting: Setting, postgres_server: PostgresServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    setting("DATABASE_URL", f"postgresql://tabur@127.0.0.1:{port}/tabur")
    found = doctor()
    assert found["store-unreachable"]["level"] == "error"
    assert "DATABASE_URL" in found["store-unreachable"]["todo"]
    assert "no-worker" not in found  # the same would be said once more
    setting("DATABASE_URL", postgres_server.url("no_such_database"))
    assert "no_such_database" in doctor()["store-unreachable"]["what"]
    setting("QUEUE_CONNECTIONS", "redis")
    setting("REDIS_URL", f"redis://127.0.0.1:{port}/0")
    assert "REDIS_URL" in doctor(connection="redis")["store-unreachable"]["todo"]


def test_a_store_that_does_not_let_us_in(
    project: Project, doctor: Ask, setting: Setting, redis_server: RedisServer
) -> None:
    setting("QUEUE_CONNECTION", "redis")
    setting("REDIS_URL", f"redis://nobody:hush-hush@127.0.0.1:{redis_server.port}/0")
    assert "does not let us in" in doctor()["store-refused"]["what"]
    setting("QUEUE_CONNECTION", "database")
    setting("DATABASE_URL", "oracle://shop/shop")
    assert "which Tabur does not know" in doctor()["store-refused"]["what"]


def test_a_damaged_file(project: Project, doctor: Ask) -> None:
    project.dispatch("greet")
    project.close()
    file = project.folder / "jobs.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = file.read_bytes()
    file.write_bytes(whole[: 5 * 4096] + b"\x5a" * 3 * 4096 + whole[8 * 4096 :])
    found = doctor()
    assert found["store-damaged"]["todo"] == "Restore it from a backup."
    assert "btree" in found["store-damaged"]["what"]
    file.write_bytes(b"\x5a" * 8192)
    assert "not a SQLite database" in doctor()["store-unreachable"]["what"]


def test_a_durability_that_is_none(
    bare: Project, doctor: Ask, setting: Setting, request: pytest.FixtureRequest
) -> None:
    """The servers of the tests do not wait for their disks."""
    setting("DATABASE_URL", database_of(request, "mariadb", bare.folder))
    assert "innodb_flush_log_at_trx_commit is 0" in doctor()["mysql-durability"]["what"]


@pytest.fixture
def kind(
    request: pytest.FixtureRequest, bare: Project, setting: Setting, require: Callable[..., None]
) -> str:
    """A store on a server, which is the project's."""
    require(PROGRAM)
    name: str = request.param
    if name == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        setting("QUEUE_CONNECTION", "redis")
        setting("REDIS_URL", server.url(12))
    else:
        setting("DATABASE_URL", database_of(request, name, bare.folder))
        bare.jobs.migrate()
    return name


@pytest.mark.parametrize(
    ("kind", "ahead"), [("postgres", 40.0), ("mariadb", -3.5), ("redis", 3.5)], indirect=["kind"]
)
def test_a_clock_that_is_not_the_stores(kind: str, ahead: float, bare: Project) -> None:
    found = by_another_clock(Clock(bare.folder / "clock", ahead=ahead), bare)["clock-skew"]
    assert found["level"] == "warning"
    assert f"s {'ahead of' if ahead > 0 else 'behind'} the store's" in found["what"]
    seconds = float(found["what"].split("clock is ")[1].split(" s ")[0])
    assert abs(ahead) - 1 < seconds < abs(ahead) + 1


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_a_second_is_nothing(kind: str, bare: Project) -> None:
    assert "clock-skew" not in by_another_clock(Clock(bare.folder / "clock", ahead=1.0), bare)


def by_another_clock(clock: Clock, project: Project) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tabur", "doctor", "--json"],
        cwd=project.folder,
        env=clock.environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)
    return {each["name"]: each for check in told["checks"] for each in check["findings"]}
