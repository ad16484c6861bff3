"""Unique jobs: of those that are the same one is alive; who dispatches another gets its handle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import (
    ConfigError,
    Job,
    JobContext,
    JobHandle,
    PayloadError,
    State,
    Tabur,
    TaburError,
    UniqueConflict,
)
from tabur.testing import FakeQueue
from tabur.worker.inline import drain


@pytest.fixture(params=["memory", "database"])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tabur]:
    with closing(_app(request.param, tmp_path)) as app:
        yield app


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Tabur]:
    with closing(_app("database", tmp_path)) as app:
        yield app


@pytest.fixture
def faked() -> Tabur:
    return Tabur(connection="memory")


@pytest.fixture
def queue(faked: Tabur) -> Iterator[FakeQueue]:
    """Its clock can be set on."""
    with faked.fake() as fake:
        yield fake


def _app(connection: str, place: Path) -> Tabur:
    app = Tabur(connection=connection, database_url=f"sqlite:///{place}/jobs.sqlite3")
    app.migrate()
    return app


def send(order_id: int, note: str = "") -> int:
    return order_id


def work(jobs: Tabur) -> None:
    drain(jobs.runtime)


def same(one: JobHandle[Any], other: JobHandle[Any]) -> bool:
    """The second was skipped for the first."""
    assert other.was_skipped is (one.id == other.id)
    return other.was_skipped


# what is the same


def test_by_name_and_all_arguments(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send)
    first = job.dispatch(7)
    assert not first.was_skipped
    assert same(first, job.dispatch(order_id=7, note=""))  # a default that is written out
    assert not same(first, job.dispatch(8))
    assert not same(first, job.dispatch(7, "again"))
    assert jobs.job(name="other", unique=True)(send).dispatch(7).was_skipped is False


def test_by_some_arguments(jobs: Tabur) -> None:
    job = jobs.job(unique="order_id")(send)
    first = job.dispatch(7, "one")
    assert same(first, job.dispatch(7, "two"))
    both = jobs.job(name="both", unique=("order_id", "note"))(send)
    assert not same(both.dispatch(7, "one"), both.dispatch(7, "two"))
    none = jobs.job(name="none", unique=())(send)
    assert same(none.dispatch(7), none.dispatch(8))


def test_by_a_function_of_the_arguments(jobs: Tabur) -> None:
    job = jobs.job(unique=lambda args: args.order_id % 10)(send)
    first = job.dispatch(7)
    assert same(first, job.dispatch(17))
    assert not same(first, job.dispatch(8))


def test_by_a_key_given_at_dispatch(jobs: Tabur) -> None:
    job = jobs.job()(send)
    first = job.options(unique_key="shop-1").dispatch(1)
    assert same(first, job.options(unique_key="shop-1").dispatch(2))
    assert not job.options(unique_key="shop-2").dispatch(2).was_skipped
    assert not job.dispatch(2).was_skipped
    declared = jobs.job(name="declared", unique=True)(send)
    assert same(
        declared.options(unique_key="x").dispatch(1), declared.options(unique_key="x").dispatch(2)
    )


def test_of_a_class_the_fields_are_the_arguments(jobs: Tabur) -> None:
    @jobs.register
    class Sync(Job[None], unique="shop"):
        shop: str
        limit: int = 500

        def handle(self, ctx: JobContext) -> None: ...

    first = Sync(shop="basra").dispatch()
    assert same(first, Sync(shop="basra", limit=7).dispatch())
    assert not Sync(shop="mosul").dispatch().was_skipped


def test_two_tenants_do_not_meet(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send)
    with jobs.scope(tenant="acme", user="1"):
        first = job.dispatch(7)
    assert not job.options(tenant="other").dispatch(7).was_skipped
    assert not job.dispatch(7).was_skipped
    assert same(first, job.options(tenant="acme", user="2").dispatch(7))


# for how long


@pytest.mark.parametrize("ends", ["completed", "failed", "cancelled"])
def test_until_it_has_ended_however(jobs: Tabur, ends: str) -> None:
    @jobs.job(unique=True)
    def end(n: int) -> None:
        if ends == "failed":
            raise ValueError("as asked")

    first = end.dispatch(1)
    assert same(first, end.dispatch(1))
    if ends == "cancelled":
        first.cancel()
    else:
        work(jobs)
    assert first.status().state == ends
    assert not end.dispatch(1).was_skipped


def test_while_it_runs_another_is_skipped(jobs: Tabur) -> None:
    seen: list[bool] = []

    @jobs.job(unique=True)
    def again(n: int) -> None:
        seen.append(again.dispatch(n).was_skipped)

    again.dispatch(1)
    work(jobs)
    assert seen == [True]


def test_a_window_holds_whatever_becomes_of_the_job(faked: Tabur, queue: FakeQueue) -> None:
    job = faked.job(unique=True, unique_for=timedelta(hours=1))(send)
    first = job.dispatch(7)
    queue.drain()
    assert same(first, job.dispatch(7))
    assert job.dispatch(7).result() == 7
    queue.travel(timedelta(minutes=59))
    assert same(first, job.dispatch(7))
    queue.travel(timedelta(minutes=1))
    assert not job.dispatch(7).was_skipped


# what becomes of the second


def test_one_that_waits_is_replaced(jobs: Tabur) -> None:
    job = jobs.job(unique="order_id", on_conflict="replace")(send)
    first, second = job.dispatch(7, "one"), job.dispatch(7, "two")
    assert not second.was_skipped
    assert (first.status().state, second.status().state) == (State.CANCELLED, State.PENDING)


def test_one_that_waits_is_put_off(faked: Tabur, queue: FakeQueue) -> None:
    job = faked.job(unique="order_id", on_conflict="extend")(send)
    first = job.options(delay=60).dispatch(7, "one")
    queue.travel(50)
    assert same(first, job.options(delay=60).dispatch(7, "two"))
    queue.travel(50)
    assert first.status().state is State.SCHEDULED
    queue.travel(10)
    assert first.status().state is State.PENDING


def test_an_error_names_the_holder(jobs: Tabur) -> None:
    job = jobs.job(unique=True, on_conflict="raise")(send)
    first = job.dispatch(7)
    with pytest.raises(UniqueConflict, match=f"send was not dispatched: job {first.id}") as error:
        job.dispatch(7)
    assert (error.value.name, error.value.holder) == ("send", first.id)
    assert isinstance(error.value, TaburError)
    assert job.options(on_conflict="skip").dispatch(7).was_skipped


# debounce


def test_the_last_of_a_burst_runs_when_it_has_been_quiet(faked: Tabur, queue: FakeQueue) -> None:
    job = faked.job(unique="order_id", debounce=timedelta(seconds=10))(send)
    handles = []
    for n in range(5):
        handles.append(job.dispatch(7, str(n)))
        queue.travel(9)
        assert queue.drain() == 0
    queue.travel(1)
    assert queue.drain() == 1
    assert [each.status().state for each in handles] == [State.CANCELLED] * 4 + [State.COMPLETED]


def test_it_runs_at_the_latest_after_max_wait(faked: Tabur, queue: FakeQueue) -> None:
    job = faked.job(unique="order_id", debounce=10, max_wait=25)(send)
    runs = []
    for n in range(5):
        job.dispatch(7, str(n))
        queue.travel(9)
        runs.append(queue.drain())
    assert runs == [0, 0, 1, 0, 0]


def test_what_comes_while_it_runs_begins_a_wait_of_its_own(faked: Tabur, queue: FakeQueue) -> None:
    @faked.job(unique="n", debounce=10, max_wait=10)
    def push(n: int, again: bool = True) -> None:
        if again:
            push.dispatch(n, again=False)

    push.dispatch(1)
    queue.travel(10)
    assert queue.drain() == 1
    queue.travel(10)
    assert queue.drain() == 1


def test_without_unique_it_is_by_all_arguments(faked: Tabur, queue: FakeQueue) -> None:
    job = faked.job(debounce=10)(send)
    for order_id in (7, 7, 8):
        job.dispatch(order_id)
    queue.travel(10)
    assert queue.drain() == 2


def test_debounce_at_dispatch(faked: Tabur, queue: FakeQueue) -> None:
    job = faked.job()(send)
    quiet = job.options(unique_key="shop-1", debounce=10)
    quiet.dispatch(1)
    quiet.dispatch(2)
    queue.travel(10)
    assert queue.drain() == 1


# each way of dispatching


def test_in_bulk_of_two_in_one_call_the_second_is_skipped(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send)
    first, second, third = jobs.dispatch_many([job(7), job(8), job(7)])
    assert [each.was_skipped for each in (first, second, third)] == [False, False, True]
    assert third.id == first.id
    again, fourth = jobs.dispatch_many([job(7), job(10)])
    assert (again.id, fourth.was_skipped) == (first.id, False)
    with pytest.raises(ConfigError, match="dispatch_many takes no job with on_conflict='raise'"):
        jobs.dispatch_many([job(9).options(on_conflict="raise")])


def test_from_async_code(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send)
    assert same(job.dispatch(7), asyncio.run(job.dispatch_async(7)))


def test_after_a_commit_the_handle_knows(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send)
    first = job.dispatch(7)
    with Session(create_engine("sqlite://")) as session, session.begin():
        later = job.options(session=session, after_commit=True).dispatch(7)
        assert not later.was_skipped
        with pytest.raises(ConfigError, match="too late to raise"):
            job.options(session=session, after_commit=True, on_conflict="raise").dispatch(7)
    assert same(first, later)
    assert later.status().state is State.PENDING


def test_in_your_transaction_it_is_held_with_it(database: Tabur) -> None:
    job = database.job(unique=True)(send)
    engine = create_engine(database.settings.database_url)
    database.install(engine)
    with Session(engine) as session:
        session.begin()
        first = job.options(session=session).dispatch(7)
        assert same(first, job.options(session=session).dispatch(7))
        refused = job.options(session=session, on_conflict="raise")
        with pytest.raises(UniqueConflict, match=first.id):
            refused.dispatch(7)
        session.rollback()
        second = job.dispatch(7)
        assert not second.was_skipped
        with session.begin():
            assert same(second, job.options(session=session).dispatch(7))
            third = job.options(session=session).dispatch(8)
    assert same(third, job.dispatch(8))
    engine.dispose()


def test_with_failover_in_the_store_that_it_went_to(database: Tabur) -> None:
    app = Tabur(
        connection="failover",
        failover=["memory", "database"],
        database_url=database.settings.database_url,
    )
    job = app.job(unique=True)(send)
    first, second = job.dispatch(7), job.dispatch(7)
    assert same(first, second)
    assert second.connection == "memory"
    app.close()


def test_in_a_batch_it_is_not_unique(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send)
    job.dispatch(7)
    batch = jobs.batch([job(7), job(7)]).dispatch()
    work(jobs)
    assert batch.status().completed == 2


def test_until_it_has_begun(jobs: Tabur) -> None:
    seen: list[bool] = []

    @jobs.job(unique=True, unique_until="start")
    def once_more(n: int) -> None:
        if len(seen) < 3:
            seen.append(once_more.dispatch(n).was_skipped)

    first = once_more.dispatch(1)
    assert same(first, once_more.dispatch(1))
    work(jobs)
    assert seen == [False, False, False]


def test_a_failed_one_comes_back_only_if_its_key_is_free(jobs: Tabur) -> None:
    @jobs.job(unique=True)
    def fail(n: int) -> None:
        raise ValueError("as always")

    first = fail.dispatch(1)
    work(jobs)
    second = fail.dispatch(1)
    assert (second.was_skipped, first.retry()) == (False, False)
    work(jobs)
    assert first.retry()
    assert same(first, fail.dispatch(1))


def test_where_jobs_run_at_once() -> None:
    jobs = Tabur(connection="sync")
    job = jobs.job(unique=True)(send)
    assert (job.dispatch(7).result(), job.dispatch(7).was_skipped) == (7, False)


def test_a_repetition_by_its_idempotency_key_is_not_skipped(jobs: Tabur) -> None:
    job = jobs.job(unique=True)(send).options(idempotency_key="request-1")
    first, second = job.dispatch(7), job.dispatch(7)
    assert (first.id, second.was_skipped) == (second.id, False)


# what cannot be


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique": "orderid"}, "'orderid' is none of its arguments; there are: order_id, note"),
        ({"unique": 7}, "unique=7: True, names of arguments, or a function"),
        ({"unique_for": 60}, "add unique=True"),
        ({"unique": False, "on_conflict": "skip"}, "add unique=True"),
        ({"unique": True, "unique_for": 0}, "unique_for=0: more than 0 seconds"),
        ({"unique": True, "unique_until": "done"}, "unique_until='done' is not known; there are: "),
        ({"unique": True, "on_conflict": "wait"}, "on_conflict='wait' is not known; there are: "),
        ({"unique": True, "unique_for": 60, "unique_until": "end"}, "leave unique_until out"),
        ({"debounce": 60, "on_conflict": "skip"}, "leave unique_for, unique_until and on_conflict"),
        ({"debounce": 60, "max_wait": 59}, "max_wait is shorter than debounce"),
        ({"unique": True, "max_wait": 59}, "it goes with debounce=, or with on_conflict="),
    ],
)
def test_what_contradicts_itself_is_refused_where_it_stands(
    faked: Tabur, options: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^send: .*{message}"):
        faked.job(**options)(send)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unique_key": ""}, "unique_key=''"),
        ({"unique_for": 60}, "add unique=True"),
        ({"debounce": 60, "delay": 5}, "leave delay and at out"),
        ({"debounce": 60, "at": datetime(2030, 1, 1, tzinfo=UTC)}, "leave delay and at out"),
    ],
)
def test_or_where_it_is_dispatched(jobs: Tabur, options: Any, message: str) -> None:
    job = jobs.job()(send)
    with pytest.raises(ConfigError, match=message):
        job.options(**options).dispatch(7)


def test_what_makes_no_key_is_refused(jobs: Tabur) -> None:
    job = jobs.job(unique=lambda args: object())(send)
    with pytest.raises(PayloadError, match="send: no unique key can be made"):
        job.dispatch(7)


def test_a_subclass_may_be_other_than_its_parent(jobs: Tabur) -> None:
    class Base(Job[None], unique=True):
        n: int

        def handle(self, ctx: JobContext) -> None: ...

    @jobs.register
    class Same(Base): ...

    @jobs.register
    class Other(Base, unique=False): ...

    def twice(make: Callable[..., Job[None]]) -> bool:
        make(n=1).dispatch()
        return make(n=1).dispatch().was_skipped

    assert (twice(Same), twice(Other)) == (True, False)
