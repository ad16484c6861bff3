"""`jobs.fake()`: dispatches are recorded, nothing runs, and the assertions say what was pushed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import Job, JobContext, State, Tabur
from tabur.testing import FakeQueue

jobs = Tabur(connection="memory")


@jobs.job(queue="notifications")
def send(order_id: int) -> None:
    raise AssertionError("nothing runs while faked")


@jobs.register
class Sync(Job[int], queue="sync"):
    table: str = "products"

    def handle(self, ctx: JobContext) -> int:
        raise AssertionError("nothing runs while faked")


def _nothing() -> None: ...


@pytest.fixture
def queue() -> Iterator[FakeQueue]:
    with jobs.fake() as fake:
        yield fake


def test_nothing_is_pushed_at_first(queue: FakeQueue) -> None:
    queue.assert_nothing_pushed()
    queue.assert_not_pushed(send)
    assert (queue.count, queue.pushed(), queue.pushed(send)) == (0, [], [])


def test_functions_and_classes_are_recorded(queue: FakeQueue) -> None:
    send.dispatch(order_id=1)
    send.options(queue="high", delay=timedelta(minutes=5)).dispatch(order_id=2)
    Sync(table="orders").dispatch()
    queue.assert_pushed(send)
    queue.assert_pushed(send, times=2)
    queue.assert_pushed(send, lambda job: job.args.order_id == 2, times=1)
    queue.assert_pushed(Sync, lambda job: job.args.table == "orders")
    queue.assert_pushed_on("notifications", send, lambda job: job.args.order_id == 1)
    queue.assert_pushed_on("high", send, lambda job: job.args.order_id == 2)
    queue.assert_pushed_on("sync", Sync)
    queue.assert_not_pushed(send, lambda job: job.args.order_id == 3)
    assert queue.count == 3
    assert [job.args.order_id for job in queue.pushed(send)] == [1, 2]


def test_each_way_of_dispatching_is_recorded(queue: FakeQueue) -> None:
    send(order_id=1).dispatch()
    jobs.dispatch_many([send(order_id=2), Sync()])
    asyncio.run(send.dispatch_async(order_id=3))
    assert [job.args.order_id for job in queue.pushed(send)] == [1, 2, 3]
    queue.assert_pushed(Sync, times=1)


def test_the_handle_works_and_says_pending(queue: FakeQueue) -> None:
    handle = send.dispatch(order_id=1)
    assert handle.status().state is State.PENDING
    assert handle.cancel()
    queue.assert_pushed(send)


def test_an_idempotency_key_pushes_once(queue: FakeQueue) -> None:
    for _ in range(2):
        send.options(idempotency_key="order-1").dispatch(order_id=1)
    queue.assert_pushed(send, times=1)


def test_what_a_rollback_takes_along_was_not_pushed(queue: FakeQueue) -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        with session.begin():
            send.options(session=session).dispatch(order_id=1)
        session.begin()
        send.options(session=session).dispatch(order_id=2)
        queue.assert_pushed(send, times=2)
        session.rollback()
    assert [job.args.order_id for job in queue.pushed(send)] == [1]
    engine.dispose()


def test_what_waits_for_a_commit_is_pushed_by_it(queue: FakeQueue) -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session, session.begin():
        send.options(session=session, after_commit=True).dispatch(order_id=1)
        queue.assert_nothing_pushed()
    queue.assert_pushed(send)
    engine.dispose()


def test_failures_say_what_was_pushed(queue: FakeQueue) -> None:
    with pytest.raises(AssertionError, match=r"^send was not pushed\. Pushed: nothing\.$"):
        queue.assert_pushed(send)
    send.dispatch(order_id=7)
    shown = re.escape("send(order_id=7) on 'notifications'")
    with pytest.raises(AssertionError, match=shown):
        queue.assert_pushed(Sync)
    with pytest.raises(AssertionError, match="pushed 1 times, not 2"):
        queue.assert_pushed(send, times=2)
    with pytest.raises(AssertionError, match="pushed 1 times, not 0"):
        queue.assert_pushed(send, times=0)
    with pytest.raises(AssertionError, match="not pushed on 'high'"):
        queue.assert_pushed_on("high", send)
    with pytest.raises(AssertionError, match="predicate"):
        queue.assert_pushed(send, lambda job: job.args.order_id == 8)
    with pytest.raises(AssertionError, match=shown):
        queue.assert_not_pushed(send)
    with pytest.raises(AssertionError, match=shown):
        queue.assert_nothing_pushed()


def test_how_many_there_are(queue: FakeQueue) -> None:
    queue.assert_count(0)
    for n in range(25):
        send.dispatch(order_id=n)
    queue.assert_count(25)
    with pytest.raises(AssertionError, match=r"^25 jobs were pushed, not 24\. Pushed: ") as failure:
        queue.assert_count(24)
    assert str(failure.value).endswith("send(order_id=19) on 'notifications'; and 5 more.")


def test_to_which_connection_it_goes() -> None:
    app = Tabur(connection="memory", connections=["sync"])
    mail = app.job(name="mail")(_nothing)
    here = app.job(name="here", connection="sync")(_nothing)
    with app.fake() as queue:
        mail.dispatch()
        here.dispatch()
        queue.assert_pushed_to("memory", mail)
        queue.assert_pushed_to("sync", here)
        with pytest.raises(
            AssertionError, match=r"^mail was not pushed to 'sync'\. It went to 'memory'\. Pushed: "
        ):
            queue.assert_pushed_to("sync", mail)
        mail.options(connection="sync").dispatch()
        queue.assert_pushed_to("sync", mail)
    with app.fake() as queue, pytest.raises(AssertionError, match=r"'sync'\. Pushed: nothing\.$"):
        queue.assert_pushed_to("sync", mail)


def test_what_was_pushed_after_a_commit(queue: FakeQueue) -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session, session.begin():
        send.dispatch(order_id=1)
        send.options(session=session, after_commit=True).dispatch(order_id=2)
        with pytest.raises(
            AssertionError,
            match=r"^send was not pushed after a commit\. Pushed: send\(order_id=1\)",
        ):
            queue.assert_pushed_after_commit(send)
    queue.assert_pushed_after_commit(send)
    queue.assert_pushed_after_commit(send, lambda job: job.args.order_id == 2)
    with pytest.raises(AssertionError, match="of which the predicate holds was not pushed after"):
        queue.assert_pushed_after_commit(send, lambda job: job.args.order_id == 1)
    engine.dispose()


def test_what_its_unique_key_keeps_out_was_not_pushed() -> None:
    app = Tabur(connection="memory")
    once = app.job(name="once", unique=True)(_nothing)
    with app.fake() as queue:
        assert once.dispatch().id == once.dispatch().id
        queue.assert_pushed(once, times=1)


def test_a_rollback_frees_the_key_and_brings_back_what_was_replaced() -> None:
    app = Tabur(connection="memory")
    once = app.job(name="once", unique=True, unique_for=60)(_nothing)
    last = app.job(name="last", unique=True, on_conflict="replace")(_nothing)
    engine = create_engine("sqlite://")
    with app.fake() as queue, Session(engine) as session:
        replaced = last.options(delay=60).dispatch()
        session.begin()
        once.options(session=session).dispatch()
        last.options(session=session).dispatch()
        assert replaced.status().state is State.CANCELLED
        session.rollback()
        assert replaced.status().state is State.SCHEDULED
        assert not once.dispatch().was_skipped
        queue.assert_count(2)
        queue.travel(60)
        assert queue.drain() == 2
    engine.dispose()


def test_a_commit_is_not_undone_by_a_later_rollback(queue: FakeQueue) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        with connection.begin():
            send.options(session=connection).dispatch(order_id=1)
        transaction = connection.begin()
        send.options(session=connection).dispatch(order_id=2)
        transaction.rollback()
    assert [job.args.order_id for job in queue.pushed(send)] == [1]
    engine.dispose()


def test_threads_push_into_one_queue(queue: FakeQueue) -> None:
    def push(first: int) -> None:
        for n in range(first, first + 50):
            send.dispatch(order_id=n)
            queue.assert_pushed(send)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(0, 200, 50)))
    queue.assert_pushed(send, times=200)


def test_afterwards_dispatches_go_to_the_store_again() -> None:
    with jobs.fake() as queue:
        send.dispatch(order_id=1)
    handle = send.dispatch(order_id=2)
    assert handle.status().state is State.PENDING
    assert queue.count == 1


def test_two_fakes_do_not_mix() -> None:
    with jobs.fake() as outer:
        send.dispatch(order_id=1)
        with jobs.fake() as inner:
            send.dispatch(order_id=2)
        send.dispatch(order_id=3)
    assert [job.args.order_id for job in outer.pushed(send)] == [1, 3]
    assert [job.args.order_id for job in inner.pushed(send)] == [2]


def test_the_fake_needs_no_pytest(tmp_path: Path) -> None:
    code = "import sys, tabur.testing; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
