"""Jobs that come under a unique key that another one holds: they replace it, or put it off."""

from __future__ import annotations

from typing import Any

from tabur.model.bonds import Conflict
from tabur.model.clock import SECOND
from tabur.model.ids import new_id
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject, move


def a_job_may_replace_one_that_has_not_started(store: Subject) -> None:
    for given in ({}, {"blockers": 1}, {"due_at": store.clock.ahead(60)}):
        store.dispatch(first := store.keyed(**given))
        second = store.keyed(conflict=Conflict.REPLACE)
        assert store.dispatch(second) == {}
        assert store.states(first, second) == [State.CANCELLED, State.PENDING]
        assert store.holder() == second.id
        store.run(second)
        assert store.holder() is None


def the_key_of_a_running_job_goes_over_to_one_that_replaces(store: Subject) -> None:
    store.dispatch(store.keyed())
    running = store.claim_one()
    second = store.keyed(conflict=Conflict.REPLACE)
    assert store.dispatch(second) == {}
    assert (store.state(running), store.find(running.id).cancelling) == (
        State.PROCESSING,
        False,
    )
    store.settle(move(running, State.COMPLETED))
    assert store.holder() == second.id
    store.run(second)
    assert store.holder() is None


def several_that_replace_in_one_dispatch_leave_the_last(store: Subject) -> None:
    jobs = [store.keyed(conflict=Conflict.REPLACE) for _ in range(3)]
    assert store.dispatch(*jobs) == {}
    assert store.states(*jobs) == [State.CANCELLED, State.CANCELLED, State.PENDING]


def what_is_replaced_takes_along_what_waited_for_it(store: Subject) -> None:
    waiting = store.new(blockers=1)
    batch = store.new_batch()
    first = store.keyed(batch=batch.id, next=(waiting.id,))
    store.driver.dispatching.dispatch([first, waiting], [batch])
    store.dispatch(store.keyed(conflict=Conflict.REPLACE))
    assert store.states(first, waiting) == [State.CANCELLED] * 2
    assert store.counts(batch) == (1, 0, 0, 1)


def one_that_replaces_another_of_its_batch_keeps_it_unfinished(store: Subject) -> None:
    last = store.new(queue="after", blockers=1)
    batch = store.new_batch(finally_=(last.id,))
    jobs = [store.keyed(batch=batch.id, conflict=Conflict.REPLACE) for _ in range(2)]
    store.driver.dispatching.dispatch([*jobs, last], [batch])
    assert store.counts(batch) == (2, 1, 0, 1)
    store.dispatch(third := store.keyed(batch=batch.id, conflict=Conflict.REPLACE))
    assert store.counts(batch) == (3, 1, 0, 2)
    assert (store.batch(batch).finished_at, store.state(last)) == (None, State.BLOCKED)
    store.run(third)
    assert store.counts(batch) == (3, 0, 0, 2)
    assert store.state(last) is State.PENDING


def a_job_may_put_off_one_that_has_not_started(store: Subject) -> None:
    soon, late = store.clock.ahead(30), store.clock.ahead(90)
    for given in ({}, {"due_at": soon}, {"due_at": store.clock.ahead(600)}):
        store.dispatch(first := store.keyed(**given))
        second = store.keyed(conflict=Conflict.EXTEND, due_at=late)
        assert store.dispatch(second) == {second.id: first.id}
        assert not store.is_known(second)
        assert (store.state(first), store.find(first.id).due_at) == (State.SCHEDULED, late)
        assert store.claim() == []
        store.driver.dispatching.clear("default")


def one_that_was_put_off_runs_once_at_its_new_time(store: Subject) -> None:
    store.dispatch(first := store.keyed(due_at=store.clock.ahead(30)))
    store.dispatch(store.keyed(conflict=Conflict.EXTEND, due_at=store.clock.ahead(90)))
    assert store.turn(queues=("default",), slots={}).next_due == store.clock.ahead(90)
    store.clock.advance(60)
    assert store.claim() == []
    store.clock.advance(30)
    assert store.drain() == [first.id]


def one_that_is_called_forward_may_be_claimed(store: Subject) -> None:
    store.dispatch(first := store.keyed(due_at=store.clock.ahead(30)))
    store.dispatch(store.keyed(conflict=Conflict.EXTEND))
    assert (store.state(first), store.find(first.id).due_at) == (State.PENDING, None)
    store.dispatch(store.keyed(conflict=Conflict.EXTEND))
    assert store.drain() == [first.id]


def a_blocked_one_is_put_off_for_when_it_is_unblocked(store: Subject) -> None:
    late = store.clock.ahead(90)
    held = store.keyed(blockers=1)
    first = store.bound(next=(held.id,))
    store.dispatch(first, held)
    store.dispatch(store.keyed(conflict=Conflict.EXTEND, due_at=late))
    assert store.state(held) is State.BLOCKED
    store.run(first)
    assert (store.state(held), store.find(held.id).due_at) == (State.SCHEDULED, late)


def one_that_runs_is_not_put_off(store: Subject) -> None:
    store.dispatch(store.keyed())
    running = store.claim_one()
    second = store.keyed(conflict=Conflict.EXTEND, due_at=store.clock.ahead(90))
    assert store.dispatch(second) == {second.id: running.id}
    assert (store.state(running), store.find(running.id).due_at) == (State.PROCESSING, None)


def nothing_is_put_off_beyond_the_longest(store: Subject) -> None:
    for conflict in (Conflict.EXTEND, Conflict.REPLACE):
        given: dict[str, Any] = {"conflict": conflict, "longest": 100 * SECOND}
        limit = store.clock.ahead(100)
        store.dispatch(first := store.keyed(due_at=store.clock.ahead(60), **given))
        last = first
        for _ in range(3):
            store.clock.advance(30)
            store.dispatch(again := store.keyed(due_at=store.clock.ahead(60), **given))
            last = again if conflict is Conflict.REPLACE else first
            assert store.find(last.id).due_at == min(store.clock.ahead(60), limit)
        store.clock.advance(10)
        assert store.drain() == [last.id]
        store.dispatch(fresh := store.keyed(due_at=store.clock.ahead(60), **given))
        assert store.find(fresh.id).due_at == store.clock.ahead(60)
        store.driver.dispatching.cancel(fresh.id)


def one_that_is_put_off_or_replaced_begins_its_window_anew(store: Subject) -> None:
    for conflict in (Conflict.EXTEND, Conflict.REPLACE):
        given: dict[str, Any] = {"key": new_id(), "window": 60 * SECOND, "conflict": conflict}
        store.dispatch(store.keyed(**given))
        store.clock.advance(40)
        store.dispatch(second := store.keyed(**given))
        store.clock.advance(40)
        assert store.holder(given["key"]) is not None
        assert store.is_known(second) == (conflict is Conflict.REPLACE)
        store.clock.advance(20)
        assert store.holder(given["key"]) is None
