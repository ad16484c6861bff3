"""How much of a crowded database each verb reads, on each engine, and by which indexes: rows are
counted, never time.

PostgreSQL runs each plan that it once made for ever: so each verb is done by one driver whose plans
were made while everything was empty, and by one that knows the crowd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from servers.mariadb import MariaDBServer
from tabur.drivers.contract import Filter
from tabur.drivers.database.dispatching import CHUNK
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.database.schema import BONDS, metadata
from tabur.model.states import Isolation, State
from tabur.testing.conformance import Clock, Subject
from tests.drivers.skew import DUE_AT, MADE_AT, fill
from tests.drivers.verbs import BONDED, LOOKING, SCHEDULING, WORKING, Verb
from tests.drivers.watching import (
    MariaDBWatcher,
    PostgresWatcher,
    Seen,
    SqliteWatcher,
    Watcher,
)

#: What makes a crowd takes its time on a busy machine.
pytestmark = pytest.mark.timeout(300)

EVERY: Mapping[str, Verb] = {**WORKING, **LOOKING, **BONDED, **SCHEDULING}
COUNT, MILLION = 20_000, 1_000_000

#: What one statement of a verb may read at most: rows, and on SQLite steps.
MOST = {"postgresql": 600, "mysql": 600, "sqlite": 8_000}
#: The client prepares a statement that it has run so often.
OFTEN = 7
#: There the engine sorts all that waits to show the newest, by its own choice.
SORTED = {("mysql", "list the pending"), ("mysql", "list the scheduled")}
#: What ended of late is found by its time, so that the few rows are sorted.
FEW_SORTED = {"list what failed of late"}
#: The index by which a verb has to find its rows, where it is not the key of a table.
EXPECTED = {
    "claim from the crowd": {"*": "job_ready_claim"},
    "claim from the few": {"*": "job_ready_claim"},
    "complete and claim": {"*": "job_ready_claim"},
    "held": {"*": "job_ready_claimed", "mysql": "job_ready_claim"},
    "release a worker": {"*": "job_ready_claimed", "mysql": "job_ready_claim"},
    "backlog of the crowd": {"*": "job_ready_claim"},
    "backlog of the few": {"*": "job_ready_claim"},
    "promote": {"*": "job_waiting_due"},
    "attempts of an old one": {"*": "job_outcomes_job"},
    "retry an old one": {"*": "job_outcomes_job"},
    "forget an old one": {"*": "job_outcomes_job"},
    "list the failed": {"*": "job_outcomes_failed"},
    "count the failed": {"*": "job_outcomes_failed"},
    "prune batches": {"*": "job_batches_finished"},
    "prune batches that hang": {"*": "job_batches_finished"},
    "due": {"*": "job_schedules_due"},
    "put those of the code": {"*": "job_schedules_origin"},
    "history of all": {"*": "job_ticks_due"},
    "history of all further on": {"*": "job_ticks_due"},
    "prune ticks": {"*": "job_ticks_due"},
}


class Crowd:
    """A crowded database and a driver on it, with its watcher."""

    def __init__(self, engine: str, subject: Subject, watcher: Watcher) -> None:
        self.engine, self.subject, self.watcher = engine, subject, watcher

    def do(self, verb: Verb) -> list[Seen]:
        given = verb.get_ready(self.subject)
        with self.watcher.watching() as seen:
            verb.act(self.subject, given)
        self.subject.driver.claiming.release_worker("w1")
        return list(seen)


def watched(url: str, request: pytest.FixtureRequest) -> Crowd:
    engine = make_url(url).get_backend_name()
    watchers: list[Watcher] = []

    def make(clock: Clock) -> DatabaseDriver:
        clock.now = MADE_AT
        driver = DatabaseDriver(url, clock=clock)
        watchers.append(_watcher(engine, driver, url, request))
        return driver

    subject = Subject(make)
    return Crowd(engine, subject, watchers[0])


def _watcher(
    engine: str, driver: DatabaseDriver, url: str, request: pytest.FixtureRequest
) -> Watcher:
    if engine == "postgresql":
        return PostgresWatcher(driver)
    if engine == "mysql":
        server: MariaDBServer = request.getfixturevalue("mariadb_server")
        return MariaDBWatcher(driver, server)
    return SqliteWatcher(driver, str(make_url(url).database))


def run(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for each in statements:
            connection.execute(text(each))
    engine.dispose()


def crowded(
    url: str, request: pytest.FixtureRequest, count: int, *, planned_when_empty: bool
) -> Crowd:
    crowd = watched(url, request)
    if crowd.engine == "postgresql":  # so that VACUUM and ANALYZE come when they are told to
        tables = [each.name for each in metadata.sorted_tables]
        run(url, *(f"ALTER TABLE {each} SET (autovacuum_enabled = off)" for each in tables))
    for verb in EVERY.values():
        for _ in range(OFTEN if planned_when_empty else 1):
            given = verb.get_ready(crowd.subject)
            verb.act(crowd.subject, given)
    fill(url, count)
    if not planned_when_empty:
        run(url, *_ANALYZE[crowd.engine])
    return crowd


_ANALYZE = {
    "postgresql": ["ANALYZE"],
    "sqlite": ["ANALYZE"],
    "mysql": [
        "ANALYZE TABLE job_ready, job_waiting, job_outcomes, job_records, job_schedules, job_ticks",
        "ANALYZE TABLE job_batches, job_members, job_links, job_uniques",
    ],
}
WHEN = [
    ("sqlite", "unanalyzed"),
    ("sqlite", "analyzed"),
    ("postgresql", "planned when empty"),
    ("postgresql", "analyzed"),
    ("mysql", "unanalyzed"),
    ("mysql", "analyzed"),
]


@pytest.fixture(scope="module", params=WHEN, ids="-".join)
def crowd(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> Iterator[Crowd]:
    engine, when = request.param
    crowd = crowded(make_database(engine), request, COUNT, planned_when_empty=when != "analyzed")
    yield crowd
    crowd.subject.driver.close()


def check(crowd: Crowd, name: str, *, times: int = 1) -> None:
    crowd.do(EVERY[name])  # who comes first cleans up after the dead
    seen = crowd.do(EVERY[name])
    assert seen
    if (crowd.engine, name) not in SORTED:
        assert name in FEW_SORTED or not [each for each in seen if each.bad]
        assert not [each for each in seen if each.read > times * MOST[crowd.engine]]
    expected = EXPECTED.get(name, {})
    index = expected.get(crowd.engine, expected.get("*"))
    assert index is None or any(index in each.indexes for each in seen), seen


@pytest.mark.parametrize("name", EVERY)
def test_it_reads_few_rows_by_the_index_made_for_it(crowd: Crowd, name: str) -> None:
    check(crowd, name)


@pytest.mark.parametrize("name", WORKING)
def test_a_job_without_bonds_pays_nothing_for_them(crowd: Crowd, name: str) -> None:
    seen = crowd.do(WORKING[name])
    assert not [each for each in seen for table in BONDS if table.name in each.sql]


def test_of_many_that_become_due_at_once_a_turn_promotes_a_part(crowd: Crowd) -> None:
    subject = crowd.subject
    before = subject.clock.now
    subject.clock.now = DUE_AT + 1
    with crowd.watcher.watching() as seen:
        claimed = subject.claim("crowded", slots={Isolation.THREAD: 10})
    subject.clock.now = before
    subject.driver.claiming.release_worker("w1")
    assert len(claimed) == 10
    assert max(each.read for each in seen) <= (20 if crowd.engine == "sqlite" else 2) * 600
    assert not [each for each in seen if each.bad]


def test_pruning_goes_in_chunks_each_of_which_reads_and_locks_little(crowd: Crowd) -> None:
    completed = Filter(states=(State.COMPLETED,), ended_before=MADE_AT + 2_000)
    with crowd.watcher.watching() as seen:
        gone = crowd.subject.driver.dispatching.forget(completed)
    assert gone > 1_900
    removals = [each for each in seen if "DELETE FROM job_records" in each.sql]
    if crowd.engine == "sqlite":
        assert len(removals) == gone  # row by row there
    else:
        assert len(removals) >= gone / CHUNK
        assert not [each for each in removals if each.read > 2 * CHUNK]
    looks = [each for each in seen if "SELECT o.id" in each.sql]
    assert len(looks) == gone // CHUNK + 1
    per_row = 20 if crowd.engine == "sqlite" else 1
    # The last one walks on to the end, to see that there is nothing left.
    assert not [each for each in looks[:-1] if each.read > 10 * CHUNK * per_row]


def test_the_walk_over_finished_jobs_reads_each_of_them_about_once(crowd: Crowd) -> None:
    for before in (None, MADE_AT + 5_000):
        with crowd.watcher.watching() as seen:
            pages = [len(page) for page in crowd.subject.driver.retention.finished(before=before)]
        looks = [each for each in seen if "FROM job_outcomes o" in each.sql]
        assert len(looks) == len(pages) + 1
        assert not [each for each in looks if each.bad]
        per_row = 20 if crowd.engine == "sqlite" else 1
        # Each outcome and its record; those that have not ended, or too late, are passed over once.
        assert sum(each.read for each in looks) < (4 * COUNT + 4 * sum(pages)) * per_row


def test_a_snapshot_held_elsewhere_makes_no_claim_walk_over_the_dead(
    request: pytest.FixtureRequest, make_database: Callable[[str], str]
) -> None:
    """PostgreSQL keeps deleted rows for whoever might still see them."""
    url = make_database("postgresql")
    crowd = crowded(url, request, COUNT, planned_when_empty=True)
    for _ in range(2):  # the urgent ones
        crowd.subject.claim("crowded")
    elsewhere = create_engine(url, isolation_level="REPEATABLE READ")
    with closing(crowd.subject.driver), elsewhere.connect() as connection:
        connection.execute(text("SELECT count(*) FROM job_ready"))
        run(url, f"DELETE FROM job_ready WHERE queue = 'crowded' AND seq < {1.5 * COUNT}")
        pages = []
        for _ in range(20):
            with crowd.watcher.watching() as seen:
                crowd.subject.claim("crowded", slots={Isolation.THREAD: 10})
            pages += [each.pages for each in seen]
        assert sorted(pages)[len(pages) // 2] < 400
    elsewhere.dispose()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mysql"])
def test_among_a_million_it_reads_as_few(
    engine: str, request: pytest.FixtureRequest, make_database: Callable[[str], str]
) -> None:
    crowd = crowded(make_database(engine), request, MILLION, planned_when_empty=True)
    with closing(crowd.subject.driver):
        for name in EVERY:
            # Fresh from a load of a million, some entries of an index are read twice and more (a
            # page of fifty has been seen to read 1,639 rows): a constant, and no scan.
            check(crowd, name, times=4)
