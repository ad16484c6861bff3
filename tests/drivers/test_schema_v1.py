"""A database of version 1 of the schema, made by the driver of that time, and that driver's own
statements: nothing of either is lost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tabur.drivers.contract import Filter
from tabur.drivers.database import schema
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.outcome import Settled
from tabur.model.records import ClaimedJob, Owner
from tabur.model.states import Isolation, State
from tabur.testing.conformance import CRASH, Clock, Subject, move

FOLDER = Path(__file__).parent / "schema"
MADE_AT = 1_790_000_000_000_000
HOUR = 3_600_000_000


def old(n: int) -> bytes:
    """The id of the n-th job in the fixture."""
    return bytes.fromhex(f"0199{n:04x}00007000800000000000{n:04x}")


FINISHED, FAILED, CANCELLED, RUNNING, URGENT, PENDING, SCHEDULED, BLOCKED, RETRYING = map(
    old, range(1, 10)
)
#: The token under which the worker of that time held the job that it ran.
TOKEN = bytes([4]) * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FOLDER / "v1_sqlite.sql").read_text("utf-8"))
    return path


@pytest.fixture
def subject(path: Path) -> Iterator[Subject]:
    """The driver of today on it, migrated, at the moment when it was made."""

    def make(clock: Clock) -> DatabaseDriver:
        clock.now = MADE_AT
        return DatabaseDriver(f"sqlite:///{path}", clock=clock)

    subject = Subject(make)
    yield subject
    subject.driver.close()


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
            ).fetchall()
        }


def test_it_comes_up_to_date_with_nothing_lost(path: Path) -> None:
    before = everything(path)
    with closing(DatabaseDriver(f"sqlite:///{path}")) as driver:
        assert driver.migrate() == ["0002_signals", "0003_control", "0004_scheduling", "0005_bonds"]
        assert driver.check()["schema"] == f"{schema.VERSION} of {schema.VERSION}"
        assert driver.migrate() == []
    after = everything(path)
    assert after.keys() - before.keys() == {
        *("job_pauses", "job_cursors"),
        *("job_schedules", "job_ticks", "job_notes"),
        *("job_batches", "job_members", "job_links", "job_uniques"),
    }
    added_to = ("tabur_schema", "job_signals")
    for table in before.keys() - set(added_to):
        for row, now in zip(before[table], after[table], strict=True):
            assert now[: len(row)] == row  # some have new columns
    assert after["tabur_schema"][0] == before["tabur_schema"][0]


def test_each_job_is_found_in_its_state(subject: Subject) -> None:
    states = {
        FINISHED: State.COMPLETED,
        FAILED: State.FAILED,
        CANCELLED: State.CANCELLED,
        RUNNING: State.PROCESSING,
        URGENT: State.PENDING,
        PENDING: State.PENDING,
        SCHEDULED: State.SCHEDULED,
        BLOCKED: State.BLOCKED,
        RETRYING: State.SCHEDULED,
    }
    assert {each: subject.find(each).state for each in states} == states
    assert subject.driver.inspection.count(Filter(), at_most=100) == len(states)


def test_what_was_kept_of_a_job_is_kept(subject: Subject) -> None:
    look = subject.driver.inspection
    finished = subject.find(FINISHED)
    assert finished.result == b'"done"'
    assert finished.progress.message == "seven of nine"
    assert [each.name for each in look.attachments(FINISHED)] == ["report.csv"]
    assert [each.ending for each in look.attempts(FAILED)] == ["retried", "failed"]
    owned = Filter(owner=Owner("acme", "u1"))
    assert [each.id for each in look.list(owned, limit=9)] == [URGENT]
    assert [each.id for each in subject.driver.workers.list()] == ["w-old"]


def test_a_claim_made_before_is_settled_after(subject: Subject) -> None:
    claim = next(each for each in subject.driver.claiming.held("w-old"))
    assert claim == (RUNNING, TOKEN)
    done = move(_claimed(RUNNING, TOKEN), State.COMPLETED)
    assert subject.settle(done) == [Settled.DONE]
    assert subject.settle(done) == [Settled.DONE]
    assert subject.find(RUNNING).state is State.COMPLETED


def test_the_claims_of_a_worker_that_is_gone_are_released(subject: Subject) -> None:
    assert subject.driver.claiming.release_worker("w-old", crash=CRASH) == 1
    assert [each.id for each in subject.claim("q4")] == [RUNNING]


def test_jobs_dispatched_before_run_in_their_order_and_at_their_time(subject: Subject) -> None:
    subject.put()
    first, *_ = subject.claim(slots={Isolation.THREAD: 1})
    assert first.id == URGENT
    subject.clock.now += HOUR + 1
    assert {each.id for each in subject.claim("default", "q9")} >= {PENDING, SCHEDULED, RETRYING}


def test_operators_move_what_ended_before(subject: Subject) -> None:
    assert subject.driver.dispatching.retry([FAILED, CANCELLED]) == 2
    assert {each.id for each in subject.claim("q2", "q3")} == {FAILED, CANCELLED}
    gone = Filter(states=(State.COMPLETED,), ended_before=MADE_AT + HOUR)
    assert subject.driver.dispatching.forget(gone) == 1


# the driver of the version before, in a process that was not restarted


class BeforeDriver:
    """Its statements, as text, on a connection that was open before the migration."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        text = (FOLDER / "v1_statements.sql").read_text("utf-8")
        self._sql = dict(re.findall(r"^-- (\w+)\n(.*?);$", text, re.DOTALL | re.MULTILINE))

    def run(self, name: str, *values: object) -> sqlite3.Cursor:
        return self.connection.execute(self._sql[name], values)

    def dispatch(self, job_id: bytes, *, due_at: int | None = None) -> None:
        self.run(
            "insert_record",
            *(job_id, "send", "default", 0, "thread", b"{}", b"", None, None, None, MADE_AT),
        )
        work = (job_id, "default", "thread", 0, 0, 0, 0)
        if due_at is None:
            self.run("insert_ready", *work)
        else:
            self.run("insert_waiting", *work, due_at, 0)

    def claim(self, token: bytes, now: int) -> list[bytes]:
        for row in self.run("due", now, 500).fetchall():
            self.run("insert_ready", *row)
            self.run("delete_waiting", row[0])
        assert self.run("peek", "default", "thread").fetchone()
        rows = self.run("candidates", "default", "thread", 100).fetchall()
        for seq, *_ in rows:
            self.run("take", token, "w-before", now, seq)
        return [row[1] for row in rows]

    def complete(self, job_id: bytes, token: bytes) -> bool:
        assert self.run("marked", job_id, token).fetchone() is not None
        done = (job_id, 1, token, "completed", "w-before", MADE_AT, MADE_AT + 1, None, b"1")
        held = self.run("delete_ready", job_id, token).rowcount == 1
        self.run("insert_outcome", *done)
        return held and self.run("settled", job_id, token).fetchone() is not None


@pytest.fixture
def before(path: Path) -> Iterator[BeforeDriver]:
    driver = BeforeDriver(path)
    driver.run("next_due").fetchone()
    yield driver
    driver.connection.close()


def test_the_driver_before_and_todays_work_side_by_side(
    before: BeforeDriver, subject: Subject
) -> None:
    ours, theirs = subject.put(), subject.new()
    before.dispatch(theirs.id)
    later = subject.new()
    before.dispatch(later.id, due_at=MADE_AT + 60_000_000)

    token = b"t" * 16
    claimed = before.claim(token, MADE_AT + 1)
    assert {ours.id, theirs.id} <= set(claimed)
    assert later.id not in claimed
    assert not subject.claim(slots={Isolation.THREAD: 100})
    assert before.complete(ours.id, token)
    assert subject.state(ours) is State.COMPLETED

    # Its claims are settled by the driver of today, and the other way round.
    done = move(_claimed(theirs.id, token), State.COMPLETED)
    assert subject.settle(done) == [Settled.DONE]
    subject.clock.now = MADE_AT + 61_000_000
    mine = {each.id: each for each in subject.claim()}
    assert before.complete(later.id, mine[later.id].token)
    assert subject.state(later) is State.COMPLETED


def test_what_the_driver_before_lets_go_is_claimed_today(
    before: BeforeDriver, subject: Subject
) -> None:
    job = subject.put()
    before.claim(b"t" * 16, MADE_AT + 1)
    assert not subject.claim(slots={Isolation.THREAD: 100})
    for seq, *_ in before.run("by_worker", "w-before").fetchall():
        before.run("let_go", seq)
    assert job.id in {each.id for each in subject.claim()}


def _claimed(job_id: bytes, token: bytes) -> ClaimedJob:
    """What the worker of that time holds in its hands."""
    return ClaimedJob(
        *(job_id, "send", "default", Isolation.THREAD, b"{}", MADE_AT, 0, 0, 0), token=token
    )
