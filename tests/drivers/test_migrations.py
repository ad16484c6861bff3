"""`tabur migrate` on each engine: repeated, from two processes at once, cut off, as a script."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import make_url

from tabur.drivers.database import schema
from tabur.drivers.database.driver import DatabaseDriver
from tabur.errors import ConfigError, SchemaMissing
from tabur.model.outcome import Settled
from tabur.model.records import ClaimedJob, ErrorInfo, Pause
from tabur.model.states import State
from tabur.testing.conformance import Subject, move

STEPS = ["0001_job_tables", "0002_signals", "0003_control", "0004_scheduling", "0005_bonds"]
#: What `tabur migrate --sql` of the version before has printed.
SCHEMA = Path(__file__).parent / "schema"
BACK_TO_4 = (
    "DROP TABLE job_batches",
    "DROP TABLE job_members",
    "DROP TABLE job_links",
    "DROP TABLE job_uniques",
    "DELETE FROM tabur_schema WHERE version = 5",
)
BACK_TO_3 = (
    *BACK_TO_4,
    "DROP TABLE job_schedules",
    "DROP TABLE job_ticks",
    "DROP TABLE job_notes",
    "DELETE FROM tabur_schema WHERE version = 4",
)
on_mysql = pytest.mark.parametrize("url", ["mysql"], indirect=True)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def column(url: str, query: str) -> list[Any]:
    with connected(url) as connection:
        return list(connection.execute(text(query)).scalars())


def works(url: str) -> None:
    """A job goes all its way."""
    subject = Subject(lambda clock: DatabaseDriver(url, clock=clock))
    with closing(subject.driver):
        assert subject.state(subject.finished()) is State.COMPLETED
        later = subject.put(due_at=subject.clock.ahead(60))
        subject.clock.advance(61)
        assert [each.id for each in subject.claim()] == [later.id]
        subject.driver.check()


# the order of things


def test_a_second_time_there_is_nothing_to_do(url: str) -> None:
    with closing(DatabaseDriver(url)) as driver:
        with pytest.raises(SchemaMissing, match="tabur migrate"):
            driver.check()
        assert driver.migrate() == STEPS
        assert driver.migrate() == []
    assert column(url, "SELECT version FROM tabur_schema ORDER BY version") == [1, 2, 3, 4, 5]
    works(url)


def test_tables_of_version_2_are_brought_up_while_their_workers_work(url: str) -> None:
    register = (
        "INSERT INTO job_workers (id, supervisor, host, pid, queues, started_at, beats)"
        " VALUES ('{}', '', 'host', 1, 'default', 1, 0)"
    )
    with closing(DatabaseDriver(url)) as driver:
        driver.migrate()
        made = shape(url)
        back_to_2 = (
            "ALTER TABLE job_workers DROP COLUMN version",
            "ALTER TABLE job_workers DROP COLUMN pace",
            "DROP TABLE job_pauses",
            "DROP TABLE job_cursors",
            "DELETE FROM job_signals WHERE name = 'moment'",
            *BACK_TO_3,
            "DELETE FROM tabur_schema WHERE version = 3",
            register.format("before"),
        )
        with connected(url) as connection:
            for statement in back_to_2:
                connection.execute(text(statement))
        with pytest.raises(SchemaMissing, match="tabur migrate"):
            driver.control.signals()
        assert driver.migrate() == STEPS[2:]
        with connected(url) as connection:
            connection.execute(text(register.format("behind")))
        seen = {each.id: each.version for each in driver.workers.list()}
        assert seen == {"before": "", "behind": ""}
        assert driver.control.signals().moment == 0
    assert shape(url) == made
    works(url)


def test_tables_of_version_3_are_brought_up_while_their_workers_work(
    url: str, make_database: Callable[[str], str]
) -> None:
    """As the version before made them, with what stands in them, while jobs come and go."""
    engine = make_url(url).get_backend_name()
    run_script(url, (SCHEMA / f"v3_{engine}.sql").read_text("utf-8"))
    subject = Subject(lambda clock: _Unmigrated(url, clock=clock))
    ended, failed = subject.finished(), subject.finished(State.FAILED)
    later, running = subject.put(due_at=subject.clock.ahead(60)), subject.running(queue="slow")
    subject.driver.control.pause(Pause("mail", 0, reason="the bank is away"))
    before = [subject.find(each.id) for each in (ended, failed, later, running)]
    done: list[bytes] = []
    errors: list[BaseException] = []
    over = threading.Event()

    def work() -> None:
        try:
            while not over.is_set() or len(done) < 20:
                subject.put(queue="busy")
                done.extend(each.id for each in _finish(subject, "busy"))
        except BaseException as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    with closing(subject.driver), closing(DatabaseDriver(url)) as newer:
        with pytest.raises(SchemaMissing, match="tabur migrate"):
            newer.check()
        with pytest.raises(SchemaMissing, match="tabur migrate"):
            newer.schedules.due(limit=9)
        assert newer.migrate() == STEPS[3:]
        newer.check()
        over.set()
        worker.join()
        assert errors == []
        assert len(set(done)) == len(done) >= 20
        assert [subject.find(each.id) for each in (ended, failed, later, running)] == before
        assert subject.settle(move(running, State.COMPLETED)) == [Settled.DONE]
        assert [each.reason for each in newer.control.signals().pauses] == ["the bank is away"]
        tick = subject.advancing(subject.schedule())
        assert subject.advance(tick) == [True]
        subject.clock.advance(61)
        assert {each.id for each in subject.claim()} == {tick.jobs[0].id, later.id}
    assert column(url, "SELECT value FROM job_signals WHERE name = 'identity'") == [12345]
    fresh = make_database(engine)
    with closing(DatabaseDriver(fresh)) as driver:
        driver.migrate()
    assert shape(url) == shape(fresh)


def test_tables_of_version_4_are_brought_up_while_their_workers_work(url: str) -> None:
    """Jobs without bonds go their way on either; what has some waits for the migration."""
    subject = Subject(lambda clock: DatabaseDriver(url, clock=clock))
    made = shape(url)
    with closing(subject.driver):
        with connected(url) as connection:
            for statement in BACK_TO_4:
                connection.execute(text(statement))
        assert subject.state(subject.finished()) is State.COMPLETED
        retrying = subject.running()
        subject.settle(move(retrying, State.PENDING))
        batch = subject.new_batch()
        with pytest.raises(SchemaMissing, match="tabur migrate"):
            subject.driver.dispatching.dispatch([subject.bound(batch=batch.id)], [batch])
        assert subject.driver.migrate() == STEPS[4:]
        subject.driver.dispatching.dispatch([subject.bound(batch=batch.id)], [batch])
        assert {each.id for each in subject.claim()} > {retrying.id}
    assert shape(url) == made


class _Unmigrated(DatabaseDriver):
    """Works on the tables that are there."""

    def migrate(self) -> list[str]:
        return []


def _finish(subject: Subject, queue: str) -> list[ClaimedJob]:
    claimed = subject.claim(queue)
    assert set(subject.settle(*(move(each, State.COMPLETED) for each in claimed))) <= {Settled.DONE}
    return claimed


def test_the_identity_of_a_database_outlives_a_second_migration(url: str) -> None:
    query = "SELECT value FROM job_signals WHERE name = 'identity'"
    with closing(DatabaseDriver(url)) as driver:
        driver.migrate()
        before = column(url, query)
        driver.migrate()
    assert column(url, query) == before


_MIGRATE = """
import sys
from tabur.drivers.database.driver import DatabaseDriver
driver = DatabaseDriver(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(",".join(driver.migrate()))
driver.close()
"""


def test_from_two_processes_at_once_one_does_it_and_both_go_on(url: str) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", _MIGRATE, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate()[0].strip() for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sorted(said) == ["", ",".join(STEPS)]
    works(url)


@on_mysql
@pytest.mark.parametrize("done", [1, 4, 9, -2, -1])
def test_a_migration_that_was_cut_off_is_finished_by_the_next(url: str, done: int) -> None:
    """There DDL commits by itself, statement by statement."""
    with closing(DatabaseDriver(url)) as driver:
        with connected(url) as connection:
            for statement in driver.script()[:done]:
                connection.exec_driver_sql(statement)
        driver.migrate()
        assert driver.migrate() == []
    works(url)


def test_tables_of_a_newer_version_are_refused_and_left_alone(url: str) -> None:
    with closing(DatabaseDriver(url)) as driver:
        driver.migrate()
        with connected(url) as connection:
            newer = f"INSERT INTO tabur_schema VALUES ({schema.VERSION + 1}, 0)"
            connection.execute(text(newer))
        said = (
            rf"are of version {schema.VERSION + 1}, and this Tabur knows {schema.VERSION}: install "
            "the newer Tabur that made them"
        )
        with pytest.raises(ConfigError, match=said):
            driver.migrate()
    works_unmigrated(url)


def works_unmigrated(url: str) -> None:
    """A worker of the version before goes on with tables that a newer Tabur has brought up."""
    with closing(DatabaseDriver(url)) as driver:
        assert driver.check()["schema"] == f"{schema.VERSION + 1} of {schema.VERSION}"
        assert driver.inspection.queues() == []


# as a script


def run_script(url: str, script: str) -> None:
    """All in one piece, as psql, sqlite3 and the like send it."""
    engine = create_engine(url, connect_args=_MANY.get(make_url(url).get_backend_name(), {}))
    raw: Any = engine.raw_connection()
    try:
        if engine.dialect.name == "sqlite":
            raw.executescript(script)
        else:
            cursor = raw.cursor()
            cursor.execute(script)
            while cursor.nextset():
                pass
        raw.commit()
    finally:
        raw.close()
        engine.dispose()


_MANY = {"mysql": {"client_flag": 1 << 16}}  # CLIENT.MULTI_STATEMENTS


def test_the_script_makes_what_migrate_makes(url: str, make_database: Callable[[str], str]) -> None:
    with closing(DatabaseDriver(url)) as driver:
        run_script(url, ";\n".join(driver.script()) + ";")
        assert driver.migrate() == []
    works(url)

    migrated = make_database(make_url(url).get_backend_name())
    with closing(DatabaseDriver(migrated)) as driver:
        driver.migrate()
    assert shape(url) == shape(migrated)


def shape(url: str) -> dict[str, Any]:
    with connected(url) as connection:
        seen = inspect(connection)
        shape: dict[str, Any] = {"views": sorted(seen.get_view_names())}
        for table in sorted(seen.get_table_names()):
            shape[table] = (
                [(each["name"], str(each["type"])) for each in seen.get_columns(table)],
                sorted(
                    (str(each["name"]), tuple(map(str, each["column_names"])))
                    for each in seen.get_indexes(table)
                ),
                seen.get_pk_constraint(table)["constrained_columns"],
            )
        return shape


# the views


def test_what_a_laravel_user_types(url: str) -> None:
    subject = Subject(lambda clock: DatabaseDriver(url, clock=clock))
    pending = subject.put(payload='{"to": "Zoë"}'.encode())
    scheduled = subject.put(queue="late", due_at=subject.clock.ahead(60))
    running = subject.running(queue="now")
    failed = subject.running(queue="bad", payload=b'{"n": 1}')
    subject.settle(move(failed, State.FAILED, error=ErrorInfo("ValueError", "no")))
    subject.finished(queue="good")
    subject.driver.close()

    assert column(url, "SELECT COUNT(*) FROM jobs") == [3]
    assert column(url, "SELECT id FROM jobs ORDER BY id") == sorted(
        each.id.hex() for each in (pending, scheduled, running)
    )
    assert column(url, "SELECT payload FROM jobs WHERE queue = 'default'") == ['{"to": "Zoë"}']
    assert column(url, "SELECT available_at FROM jobs WHERE queue = 'late'") == [
        subject.clock.ahead(60) // 1_000_000
    ]
    assert column(url, "SELECT queue FROM jobs WHERE reserved_at IS NOT NULL") == ["now"]
    assert column(url, "SELECT COUNT(*) FROM failed_jobs") == [1]
    with connected(url) as connection:
        found = connection.execute(
            text("SELECT uuid, queue, payload, exception, failed_at FROM failed_jobs")
        ).one()
    assert found[:3] == (failed.id.hex(), "bad", '{"n": 1}')
    assert "ValueError" in found.exception
    assert str(found.failed_at).startswith("2025-06-15 15:06")


def test_an_applications_own_tables_of_that_name_are_left_alone(url: str) -> None:
    names = ["jobs", "failed_jobs"]
    with connected(url) as connection:
        for name in names:
            connection.execute(text(f"CREATE TABLE {name} (title VARCHAR(20))"))
            connection.execute(text(f"INSERT INTO {name} VALUES ('baker')"))
    with closing(DatabaseDriver(url)) as driver:
        driver.migrate()
    works(url)
    for name in names:
        assert column(url, f"SELECT title FROM {name}") == ["baker"]
