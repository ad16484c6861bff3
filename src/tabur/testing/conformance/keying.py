"""Unique keys: one job holds one at a time, until it has ended, has begun, or for a while."""

from __future__ import annotations

from typing import Any

from tabur.model.bonds import Conflict, Unique
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.records import NewJob
from tabur.model.states import State
from tabur.testing.conformance.subject import CRASH, Subject, hand_back, move

KEY = b"k" * 16
SECOND = 1_000_000


def a_job_under_a_key_that_another_one_holds_is_not_kept(store: Subject) -> None:
    first, second = _job(store), _job(store)
    assert _dispatch(store, first) == {}
    assert _dispatch(store, second) == {second.id: first.id}
    assert not store.is_known(second)
    assert [each.id for each in store.claim()] == [first.id]
    assert _dispatch(store, second) == {second.id: first.id}


def other_keys_and_jobs_without_one_are_kept(store: Subject) -> None:
    jobs = [_job(store), _job(store, key=b"o" * 16), store.new()]
    assert _dispatch(store, *jobs) == {}
    assert len(store.claim()) == 3


def of_two_in_one_dispatch_the_later_one_comes_later(store: Subject) -> None:
    first, second, other = _job(store), _job(store), store.new()
    assert _dispatch(store, first, other, second) == {second.id: first.id}
    assert [each.id for each in store.claim()] == [first.id, other.id]


def a_known_id_is_passed_over_before_its_key_is_looked_at(store: Subject) -> None:
    holder = _job(store)
    assert _dispatch(store, holder, holder) == {}
    assert _dispatch(store, holder) == {}
    done = _job(store, key=b"d" * 16)
    _dispatch(store, done)
    store.run(done)
    heir = _job(store, key=b"d" * 16, conflict=Conflict.REPLACE)
    _dispatch(store, heir)
    assert _dispatch(store, done) == {}
    assert store.states(done, heir) == [State.COMPLETED, State.PENDING]


def a_key_is_free_when_its_holder_has_ended(store: Subject) -> None:
    for to in (State.COMPLETED, State.FAILED, State.CANCELLED):
        _dispatch(store, holder := _job(store))
        store.run(holder, to)
        _freed(store)


def a_key_is_free_when_its_holder_was_cancelled_or_cleared(store: Subject) -> None:
    for given in ({}, {"blockers": 1}, {"due_at": store.clock.ahead(60)}):
        _dispatch(store, holder := _job(store, **given))
        store.driver.dispatching.cancel(holder.id)
        _freed(store)
        _dispatch(store, _job(store, **given))
        store.driver.dispatching.clear("default")
        _freed(store)


def a_key_is_free_when_its_holder_was_called_back(store: Subject) -> None:
    for release in (False, True):
        _dispatch(store, _job(store))
        claimed = store.claim_one()
        store.driver.dispatching.cancel(claimed.id)
        assert _held_by(store) == claimed.id
        if release:
            store.driver.claiming.release_worker("w1", crash=CRASH)
        else:
            store.settle(move(claimed, State.PENDING))
        _freed(store)


def a_key_is_free_when_its_holder_was_cancelled_as_it_waited(store: Subject) -> None:
    holder = _job(store, blockers=1)
    first = store.bound(next=(holder.id,))
    _dispatch(store, first, holder)
    store.run(first, State.FAILED)
    _freed(store)


def a_key_is_held_through_retries_crashes_and_hand_backs(store: Subject) -> None:
    _dispatch(store, holder := _job(store))
    store.settle(hand_back(store.claim_one()))
    assert _held_by(store) == holder.id
    store.settle(move(store.claim_one(), State.PENDING))
    assert _held_by(store) == holder.id
    store.claim_one()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    assert _held_by(store) == holder.id
    store.settle(move(store.claim_one(), State.SCHEDULED, due_at=store.clock.ahead(60)))
    assert _held_by(store) == holder.id


def a_refused_or_repeated_settle_frees_nothing(store: Subject) -> None:
    _dispatch(store, holder := _job(store))
    claimed = store.claim_one()
    stale = move(claimed, State.COMPLETED, token=new_token())
    assert store.settle(stale) == [Settled.STALE]
    assert _held_by(store) == holder.id
    done = move(claimed, State.COMPLETED)
    store.settle(done)
    _dispatch(store, heir := _job(store))
    assert store.settle(done) == [Settled.DONE]
    assert _held_by(store) == heir.id


def a_job_may_replace_one_that_has_not_started(store: Subject) -> None:
    for given in ({}, {"blockers": 1}, {"due_at": store.clock.ahead(60)}):
        _dispatch(store, first := _job(store, **given))
        second = _job(store, conflict=Conflict.REPLACE)
        assert _dispatch(store, second) == {}
        assert store.states(first, second) == [State.CANCELLED, State.PENDING]
        assert _held_by(store) == second.id
        store.run(second)
        _freed(store)


def the_key_of_a_running_job_goes_over_to_one_that_replaces(store: Subject) -> None:
    _dispatch(store, _job(store))
    running = store.claim_one()
    second = _job(store, conflict=Conflict.REPLACE)
    assert _dispatch(store, second) == {}
    assert (store.state(running), store.find(running.id).cancelling) == (
        State.PROCESSING,
        False,
    )
    store.settle(move(running, State.COMPLETED))
    assert _held_by(store) == second.id
    store.run(second)
    _freed(store)


def several_that_replace_in_one_dispatch_leave_the_last(store: Subject) -> None:
    jobs = [_job(store, conflict=Conflict.REPLACE) for _ in range(3)]
    assert _dispatch(store, *jobs) == {}
    assert store.states(*jobs) == [State.CANCELLED, State.CANCELLED, State.PENDING]


def what_is_replaced_takes_along_what_waited_for_it(store: Subject) -> None:
    waiting = store.new(blockers=1)
    batch = store.new_batch()
    first = _job(store, batch=batch.id, next=(waiting.id,))
    store.driver.dispatching.dispatch([first, waiting], [batch])
    _dispatch(store, _job(store, conflict=Conflict.REPLACE))
    assert store.states(first, waiting) == [State.CANCELLED] * 2
    assert store.counts(batch) == (1, 0, 0, 1)


def one_that_replaces_another_of_its_batch_keeps_it_unfinished(store: Subject) -> None:
    last = store.new(queue="after", blockers=1)
    batch = store.new_batch(finally_=(last.id,))
    jobs = [_job(store, batch=batch.id, conflict=Conflict.REPLACE) for _ in range(2)]
    store.driver.dispatching.dispatch([*jobs, last], [batch])
    assert store.counts(batch) == (2, 1, 0, 1)
    _dispatch(store, third := _job(store, batch=batch.id, conflict=Conflict.REPLACE))
    assert store.counts(batch) == (3, 1, 0, 2)
    assert (store.batch(batch).finished_at, store.state(last)) == (None, State.BLOCKED)
    store.run(third)
    assert store.counts(batch) == (3, 0, 0, 2)
    assert store.state(last) is State.PENDING


def a_job_that_is_not_kept_is_not_counted_and_nothing_waits_for_it(store: Subject) -> None:
    _dispatch(store, _job(store))
    waiting, batch = store.new(blockers=2), store.new_batch()
    other = store.bound(batch=batch.id, next=(waiting.id,))
    skipped = _job(store, batch=batch.id, next=(waiting.id,))
    store.driver.dispatching.dispatch([other, skipped, waiting], [batch])
    assert store.counts(batch) == (1, 1, 0, 0)
    store.run(other, State.FAILED)
    store.driver.dispatching.retry([waiting.id])
    store.driver.dispatching.retry([other.id])
    store.run(other)
    assert store.state(waiting) is State.PENDING


def a_batch_of_which_every_job_is_skipped_has_finished(store: Subject) -> None:
    _dispatch(store, _job(store))
    batch = store.new_batch()
    store.driver.dispatching.dispatch([_job(store, batch=batch.id)], [batch])
    assert store.counts(batch) == (0, 0, 0, 0)
    assert store.batch(batch).is_complete


def a_job_may_put_off_one_that_has_not_started(store: Subject) -> None:
    soon, late = store.clock.ahead(30), store.clock.ahead(90)
    for given in ({}, {"due_at": soon}, {"due_at": store.clock.ahead(600)}):
        _dispatch(store, first := _job(store, **given))
        second = _job(store, conflict=Conflict.EXTEND, due_at=late)
        assert _dispatch(store, second) == {second.id: first.id}
        assert not store.is_known(second)
        assert (store.state(first), store.find(first.id).due_at) == (State.SCHEDULED, late)
        assert store.claim() == []
        store.driver.dispatching.clear("default")


def one_that_was_put_off_runs_once_at_its_new_time(store: Subject) -> None:
    _dispatch(store, first := _job(store, due_at=store.clock.ahead(30)))
    _dispatch(store, _job(store, conflict=Conflict.EXTEND, due_at=store.clock.ahead(90)))
    assert store.turn(queues=("default",), slots={}).next_due == store.clock.ahead(90)
    store.clock.advance(60)
    assert store.claim() == []
    store.clock.advance(30)
    assert store.drain() == [first.id]


def one_that_is_called_forward_may_be_claimed(store: Subject) -> None:
    _dispatch(store, first := _job(store, due_at=store.clock.ahead(30)))
    _dispatch(store, _job(store, conflict=Conflict.EXTEND))
    assert (store.state(first), store.find(first.id).due_at) == (State.PENDING, None)
    _dispatch(store, _job(store, conflict=Conflict.EXTEND))
    assert store.drain() == [first.id]


def a_blocked_one_is_put_off_for_when_it_is_unblocked(store: Subject) -> None:
    late = store.clock.ahead(90)
    held = _job(store, blockers=1)
    first = store.bound(next=(held.id,))
    _dispatch(store, first, held)
    _dispatch(store, _job(store, conflict=Conflict.EXTEND, due_at=late))
    assert store.state(held) is State.BLOCKED
    store.run(first)
    assert (store.state(held), store.find(held.id).due_at) == (State.SCHEDULED, late)


def one_that_runs_is_not_put_off(store: Subject) -> None:
    _dispatch(store, _job(store))
    running = store.claim_one()
    second = _job(store, conflict=Conflict.EXTEND, due_at=store.clock.ahead(90))
    assert _dispatch(store, second) == {second.id: running.id}
    assert (store.state(running), store.find(running.id).due_at) == (State.PROCESSING, None)


def nothing_is_put_off_beyond_the_longest(store: Subject) -> None:
    for conflict in (Conflict.EXTEND, Conflict.REPLACE):
        given: dict[str, Any] = {"conflict": conflict, "longest": 100 * SECOND}
        limit = store.clock.ahead(100)
        _dispatch(store, first := _job(store, due_at=store.clock.ahead(60), **given))
        last = first
        for _ in range(3):
            store.clock.advance(30)
            _dispatch(store, again := _job(store, due_at=store.clock.ahead(60), **given))
            last = again if conflict is Conflict.REPLACE else first
            assert store.find(last.id).due_at == min(store.clock.ahead(60), limit)
        store.clock.advance(10)
        assert store.drain() == [last.id]
        _dispatch(store, fresh := _job(store, due_at=store.clock.ahead(60), **given))
        assert store.find(fresh.id).due_at == store.clock.ahead(60)
        store.driver.dispatching.cancel(fresh.id)


def a_key_may_be_held_until_its_job_begins(store: Subject) -> None:
    holder = _job(store, until_start=True)
    _dispatch(store, holder)
    claimed = store.claim_one()
    assert _held_by(store) == holder.id
    store.driver.claiming.begin([(claimed.id, new_token()), (new_id(), claimed.token)])
    assert _held_by(store) == holder.id
    store.driver.claiming.begin([(claimed.id, claimed.token)])
    heir = _job(store, until_start=True)
    assert _dispatch(store, heir) == {}
    store.driver.claiming.begin([(claimed.id, claimed.token)])
    store.settle(move(claimed, State.COMPLETED))
    assert _held_by(store) == heir.id


def a_key_that_is_held_until_the_end_is_not_freed_at_the_begin(store: Subject) -> None:
    for given in ({}, {"window": 60 * SECOND}):
        _dispatch(store, _job(store, key=(key := new_id()), **given))
        claimed = store.claim_one()
        store.driver.claiming.begin([(claimed.id, claimed.token)])
        assert _held_by(store, key) == claimed.id
        store.settle(move(claimed, State.COMPLETED))


def a_key_until_the_start_is_freed_by_an_end_before_it(store: Subject) -> None:
    _dispatch(store, holder := _job(store, until_start=True))
    store.driver.dispatching.cancel(holder.id)
    _freed(store)


def a_window_holds_a_key_whatever_becomes_of_the_job(store: Subject) -> None:
    holder = _job(store, window=60 * SECOND)
    _dispatch(store, holder)
    store.run(holder)
    assert _held_by(store) == holder.id
    store.driver.dispatching.forget_one(holder.id)
    store.clock.advance(59.999)
    assert _held_by(store) == holder.id
    store.clock.advance(0.001)
    _dispatch(store, heir := _job(store, window=60 * SECOND))
    store.driver.dispatching.cancel(heir.id)
    assert _held_by(store) == heir.id


def a_window_that_has_passed_frees_the_key_of_one_that_still_runs(store: Subject) -> None:
    _dispatch(store, _job(store, window=60 * SECOND))
    running = store.claim_one()
    store.clock.advance(60)
    _dispatch(store, heir := _job(store, window=60 * SECOND))
    store.settle(move(running, State.COMPLETED))
    assert _held_by(store) == heir.id


def one_that_is_put_off_or_replaced_begins_its_window_anew(store: Subject) -> None:
    for conflict in (Conflict.EXTEND, Conflict.REPLACE):
        given: dict[str, Any] = {"key": new_id(), "window": 60 * SECOND, "conflict": conflict}
        _dispatch(store, _job(store, **given))
        store.clock.advance(40)
        _dispatch(store, second := _job(store, **given))
        store.clock.advance(40)
        assert _held_by(store, given["key"]) is not None
        assert store.is_known(second) == (conflict is Conflict.REPLACE)
        store.clock.advance(20)
        assert _held_by(store, given["key"]) is None


def a_retried_job_holds_its_key_again(store: Subject) -> None:
    _dispatch(store, holder := _job(store))
    store.run(holder, State.FAILED)
    assert store.driver.dispatching.retry([holder.id]) == 1
    assert _held_by(store) == holder.id


def a_retry_is_passed_over_while_another_one_holds_the_key(store: Subject) -> None:
    _dispatch(store, first := _job(store))
    store.run(first, State.FAILED)
    _dispatch(store, second := _job(store))
    assert store.driver.dispatching.retry([first.id]) == 0
    assert store.states(first, second) == [State.FAILED, State.PENDING]
    store.run(second)
    assert store.driver.dispatching.retry([first.id]) == 1
    assert _held_by(store) == first.id


def of_two_retried_at_once_one_gets_the_key(store: Subject) -> None:
    jobs = [_job(store) for _ in range(2)]
    for job in jobs:
        _dispatch(store, job)
        store.run(job, State.FAILED)
    assert store.driver.dispatching.retry([job.id for job in jobs]) == 1
    assert sorted(store.states(*jobs)) == [State.FAILED, State.PENDING]


def what_comes_back_with_another_needs_its_key(store: Subject) -> None:
    holder = _job(store, blockers=1)
    first = store.bound(next=(holder.id,))
    _dispatch(store, first, holder)
    store.run(first, State.FAILED)
    _dispatch(store, heir := _job(store))
    store.driver.dispatching.retry([first.id])
    assert store.states(first, holder, heir) == [State.PENDING, State.CANCELLED, State.PENDING]
    store.run(first, State.FAILED)
    store.run(heir)
    store.driver.dispatching.retry([first.id])
    assert store.states(first, holder) == [State.PENDING, State.BLOCKED]
    assert _held_by(store) == holder.id


def _job(
    store: Subject,
    *,
    key: bytes = KEY,
    until_start: bool = False,
    window: int | None = None,
    conflict: Conflict = Conflict.SKIP,
    longest: int | None = None,
    **given: Any,
) -> NewJob:
    return store.bound(unique=Unique(key, until_start, window, conflict, longest), **given)


def _dispatch(store: Subject, *jobs: NewJob) -> dict[bytes, bytes]:
    return dict(store.driver.dispatching.dispatch(jobs))


def _held_by(store: Subject, key: bytes = KEY) -> bytes | None:
    """Who holds a key; found by a job that is taken away again where nobody does."""
    asking = _job(store, key=key)
    holder = _dispatch(store, asking).get(asking.id)
    if holder is None:
        store.driver.dispatching.cancel(asking.id)
    return holder


def _freed(store: Subject) -> None:
    assert _held_by(store) is None
