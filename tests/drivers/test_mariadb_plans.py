"""What the statements of MariaDB read: by an index, in its order, whatever else stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pymysql
import pytest
from msgspec.structs import replace
from pymysql.cursors import Cursor

from servers.mariadb import MariaDBServer
from tabur.drivers.contract import Exchange
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.records import NewJob
from tabur.model.schedules import Advance, Decision, Origin, Tick
from tabur.model.states import Isolation, State
from tabur.testing.conformance import CRASH, move
from tests.drivers.skew import fill_schedules

MANY, FEW = 20_000, 30
SLOTS = {Isolation.LOOP: 10, Isolation.THREAD: 10, Isolation.PROCESS: 10}


@pytest.fixture(scope="module")
def url(mariadb_server: MariaDBServer) -> str:
    """Nearly all jobs are pending in one queue, scheduled, or finished; few are in the other."""
    url = mariadb_server.create_database("plans")
    driver = DatabaseDriver(url)
    driver.migrate()
    for _ in range(MANY // 1000):
        driver.dispatching.dispatch([_new("crowded", priority=n % 3) for n in range(1000)])
        driver.dispatching.dispatch([_new("crowded", due_at=2**60) for _ in range(1000)])
        driver.dispatching.dispatch([_new("done") for _ in range(1000)])
        done = driver.claiming.exchange(_turn("done", slots=dict.fromkeys(Isolation, 1000)))
        driver.claiming.exchange(
            Exchange(worker="w1", settle=[move(job, State.COMPLETED) for job in done.claimed])
        )
    driver.dispatching.dispatch([_new("few") for _ in range(FEW)])
    driver.close()
    fill_schedules(url, MANY)
    return url


@pytest.fixture
def driver(url: str) -> Iterator[DatabaseDriver]:
    driver = DatabaseDriver(url)
    yield driver
    driver.close()


@pytest.fixture
def plans_of(url: str, driver: DatabaseDriver) -> Callable[[Callable[[], object]], list[Any]]:
    """The plans of all statements that a call runs, as rows of EXPLAIN with the statement."""
    executed: list[str] = []

    class Recording(Cursor):
        def _query(self, q: Any) -> int:
            together = q if isinstance(q, str) else bytes(q).decode()
            executed.extend(each.strip() for each in together.split(";"))
            return super()._query(q)  # type: ignore[misc,no-any-return]  # inside

    driver._store._open_cursor = Recording  # type: ignore[attr-defined]  # inside

    def plans_of(call: Callable[[], object]) -> list[Any]:
        executed.clear()
        call()
        with _connect(url) as connection, connection.cursor() as cursor:
            found = []
            for statement in executed:
                if statement.split()[0] in ("SELECT", "UPDATE", "DELETE"):
                    cursor.execute(f"EXPLAIN {statement}")
                    found += [(*row, statement) for row in cursor.fetchall()]
        return found

    return plans_of


def test_no_statement_of_a_turn_reads_or_sorts_a_whole_table(
    driver: DatabaseDriver, plans_of: Callable[[Callable[[], object]], list[Any]]
) -> None:
    def turns() -> None:
        few = driver.claiming.exchange(_turn("few")).claimed
        first = driver.claiming.exchange(_turn("crowded")).claimed
        done = [move(job, State.COMPLETED) for job in first]
        # This one begins behind the first.
        second = driver.claiming.exchange(replace(_turn("crowded"), settle=done)).claimed
        assert len(few) == len(second) == 10
        later = [move(job, State.SCHEDULED, due_at=2**60) for job in (*few, *second)]
        last = replace(_turn("empty"), settle=later, watch=True)
        assert set(driver.claiming.exchange(last).settled) == {Settled.DONE}

    plans = plans_of(turns)
    assert any("seq > " in plan[-1] for plan in plans)
    _read_by_index(plans)


def test_no_statement_about_one_job_or_worker_reads_or_sorts_a_whole_table(
    driver: DatabaseDriver, plans_of: Callable[[Callable[[], object]], list[Any]]
) -> None:
    job = _new("few")
    driver.dispatching.dispatch([job])

    def moves() -> None:
        driver.dispatching.cancel(job.id)
        driver.dispatching.retry([job.id])
        driver.claiming.held("w1")
        driver.claiming.release_worker("nobody", crash=CRASH)
        driver.claiming.release_token(new_token())
        driver.inspection.find(job.id)

    _read_by_index(plans_of(moves))


def test_no_statement_about_schedules_reads_or_sorts_a_whole_table(
    driver: DatabaseDriver, plans_of: Callable[[Callable[[], object]], list[Any]]
) -> None:
    schedules = driver.schedules
    found = schedules.due(limit=50)
    assert [each.name[:3] for each in found.due].count("due") == 5

    def verbs() -> None:
        first = found.due[0]
        assert first.next_run_at is not None
        tick = Tick(first.name, first.next_run_at, Decision.SKIPPED, 1)
        move = Advance(first.name, 1, first.next_run_at, (tick,), 2**52)
        assert schedules.due(limit=50).due == found.due
        assert schedules.advance([move]) == [True]
        schedules.put([replace(first, revision=2)], origin=Origin.CODE)
        schedules.find("s00000007")
        schedules.list(limit=50)
        schedules.list(limit=50, after="s00007")
        for name in ("busy", None):
            assert len(schedules.ticks(name, limit=50)) == 50
            assert len(schedules.ticks(name, limit=50, before=9_000, below="s00005")) > 5
        assert schedules.prune(before=10, limit=5) == 5
        schedules.delete("s00000009")

    plans = plans_of(verbs)
    assert len(plans) > 12
    _read_by_index(plans)


def test_a_claim_leaves_the_rest_to_others_before_it_commits(url: str) -> None:
    one, other = DatabaseDriver(url), DatabaseDriver(url)
    turn = _turn("few", slots={Isolation.LOOP: 5})

    def claim_and_let_another_claim(tx: Any) -> int:
        mine = one._store.hot.claim(tx.cursor, turn, now=1)
        theirs = other.claiming.exchange(_turn("few", slots={Isolation.LOOP: 5})).claimed
        return len({job.id for job in mine} | {job.id for job in theirs})

    assert one._store.transact(claim_and_let_another_claim) == 10
    one.close()
    other.close()


def _read_by_index(plans: list[Any]) -> None:
    for plan in plans:
        _, _, table, kind, _, _, _, _, _, extra, statement = plan
        if (table or "").startswith("<"):
            continue  # what another line of the plan has found
        assert kind not in ("ALL", "index"), (plan, statement)
        assert "filesort" not in (extra or ""), (plan, statement)
        assert "temporary" not in (extra or ""), (plan, statement)


def _connect(url: str) -> Any:
    port, database = url.rpartition(":")[2].split("/")
    return pymysql.connect(host="127.0.0.1", port=int(port), user="tabur", database=database)


def _turn(queue: str, *, slots: dict[Isolation, int] = SLOTS) -> Exchange:
    return Exchange(worker="w1", token=new_token(), queues=(queue,), slots=slots)


def _new(queue: str, *, priority: int = 0, due_at: int | None = None) -> NewJob:
    return NewJob(
        id=new_id(),
        name="send",
        queue=queue,
        isolation=Isolation.LOOP,
        payload=b"{}",
        created_at=0,
        priority=priority,
        due_at=due_at,
    )
