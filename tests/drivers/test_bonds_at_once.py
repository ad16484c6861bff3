"""Bonds of jobs under many hands at once, on each engine of the driver `database`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import create_engine, text

from tabur.drivers.contract import Filter
from tabur.drivers.database import schema
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.bonds import Conflict
from tabur.model.ids import new_id
from tabur.model.records import NewJob
from tabur.model.states import FINISHED, Isolation, State
from tabur.testing.conformance import Subject, move

HANDS = 4
_FEW = dict.fromkeys(Isolation, 7)


@pytest.fixture
def store(url: str) -> Iterator[Subject]:
    subject = Subject(lambda clock: DatabaseDriver(url, clock=clock))
    with closing(subject.driver):
        yield subject


def at_once(*works: Callable[[], object]) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait()
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in works]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []


def drained(store: Subject, *, failing: frozenset[bytes] = frozenset()) -> Callable[[], None]:
    """A worker of its own that goes on until nothing is left to claim."""
    worker = new_id().hex()

    def drain() -> None:
        while claimed := store.claim(worker=worker, slots=_FEW, token=new_id()):
            moves = [
                move(each, State.FAILED if each.id in failing else State.COMPLETED)
                for each in claimed
            ]
            store.settle(*moves)

    return drain


def drain_all(store: Subject) -> None:
    """Until nothing is pending there: what was committed late may be claimed late."""
    pending = Filter(states=(State.PENDING,), queue="default")
    while store.driver.inspection.count(pending, at_most=1):
        drained(store)()


def test_a_batch_is_counted_exactly_by_many_workers(store: Subject) -> None:
    then = store.new(blockers=1, queue="callbacks")
    batches = [store.new_batch(next=(then.id,)), *(store.new_batch() for _ in range(4))]
    jobs = [store.bound(batch=each.id) for _ in range(60) for each in batches]
    store.driver.dispatching.dispatch([*jobs, then], batches)
    at_once(*(drained(store) for _ in range(HANDS)))
    drain_all(store)
    assert {store.counts(each) for each in batches} == {(60, 0, 0, 0)}
    assert all(store.batch(each).is_complete for each in batches)
    assert [each.id for each in store.claim("callbacks")] == [then.id]


def test_failures_and_cancels_at_once_are_counted_and_caught_once(store: Subject) -> None:
    caught, last, then = (store.new(blockers=1, queue="callbacks") for _ in range(3))
    batch = store.new_batch(
        allow_failures=True, next=(then.id,), catch=(caught.id,), finally_=(last.id,)
    )
    jobs = [store.bound(batch=batch.id) for _ in range(120)]
    store.driver.dispatching.dispatch([*jobs, caught, last, then], [batch])
    failing = frozenset(each.id for each in jobs[::3])

    def cancel() -> None:
        for each in reversed(jobs):
            store.driver.dispatching.cancel(each.id)

    at_once(cancel, *(drained(store, failing=failing) for _ in range(HANDS)))
    drain_all(store)
    ends = store.states(*jobs)
    assert set(ends) <= FINISHED
    failed, cancelled = ends.count(State.FAILED), ends.count(State.CANCELLED)
    assert store.counts(batch) == (120, 0, failed, cancelled)
    assert store.state(last) is State.PENDING
    assert store.state(then) is State.CANCELLED
    assert store.state(caught) is (State.PENDING if failed else State.CANCELLED)


def test_what_waits_for_many_is_unblocked_by_whoever_ends_the_last(store: Subject) -> None:
    targets = [store.bound(blockers=20, queue="after") for _ in range(10)]
    ids = tuple(each.id for each in targets)
    sources = [store.bound(next=ids) for _ in range(20)]
    store.driver.dispatching.dispatch([*sources, *targets])
    at_once(*(drained(store) for _ in range(HANDS)))
    drain_all(store)
    assert {each.id for each in store.claim("after")} == set(ids)


def test_jobs_added_while_others_end_are_all_counted(store: Subject) -> None:
    batch = store.new_batch()
    kept = store.bound(batch=batch.id, queue="kept")
    store.driver.dispatching.dispatch([kept], [batch])

    def add() -> None:
        for _ in range(30):
            store.dispatch(store.bound(batch=batch.id), store.bound(batch=batch.id))

    at_once(add, add, *(drained(store) for _ in range(HANDS)))
    drain_all(store)
    assert store.counts(batch) == (121, 1, 0, 0)


def _dispatch(store: Subject, job: NewJob, held: dict[bytes, bytes]) -> None:
    held.update(store.dispatch(job))


def test_of_many_that_dispatch_under_one_key_one_gets_it(store: Subject) -> None:
    for _ in range(5):
        key = new_id()
        jobs = [store.keyed(key=key) for _ in range(HANDS)]
        held: dict[bytes, bytes] = {}
        at_once(*(partial(_dispatch, store, each, held) for each in jobs))
        (kept,) = [each for each in jobs if store.driver.inspection.find(each.id)]
        assert held == {each.id: kept.id for each in jobs if each is not kept}


def test_of_many_that_replace_each_other_while_they_run_none_is_lost(store: Subject) -> None:
    key = new_id()
    jobs = [store.keyed(key=key, conflict=Conflict.REPLACE) for _ in range(60)]

    def replace(mine: int) -> Callable[[], None]:
        def dispatch() -> None:
            for each in jobs[mine::2]:
                store.dispatch(each)

        return dispatch

    at_once(replace(0), replace(1), drained(store), drained(store))
    drain_all(store)
    assert set(store.states(*jobs)) <= {State.COMPLETED, State.CANCELLED}
    assert store.holder(key) is None


def test_what_comes_back_while_another_source_ends_is_not_blocked_for_ever(store: Subject) -> None:
    for _ in range(10):
        target = store.bound(blockers=2, queue="after")
        failing, ending = (store.bound(next=(target.id,)) for _ in range(2))
        store.driver.dispatching.dispatch([failing, ending, target])
        claimed = {each.id: each for each in store.claim()}
        store.settle(move(claimed[failing.id], State.FAILED))
        assert store.state(target) is State.CANCELLED
        at_once(
            partial(store.driver.dispatching.retry, [failing.id]),
            partial(store.settle, move(claimed[ending.id], State.COMPLETED)),
        )
        drain_all(store)
        assert [each.id for each in store.claim("after")] == [target.id]


def test_each_of_the_tables_of_bonds_is_empty_when_all_is_forgotten(
    store: Subject, url: str
) -> None:
    then = store.new(blockers=1)
    batch = store.new_batch(next=(then.id,))
    chain = store.chain(3, batch=batch.id)
    keyed = store.keyed(window=1)
    store.driver.dispatching.dispatch([*chain, keyed, then], [batch])
    store.drain()
    store.clock.advance(2)
    store.driver.dispatching.forget(Filter())
    store.driver.batches.prune(before=store.clock.ahead(1), limit=9)
    engine = create_engine(url)
    with engine.connect() as connection:
        for table in schema.BONDS:
            assert connection.execute(text(f"SELECT count(*) FROM {table.name}")).scalar() == 0
    engine.dispose()
