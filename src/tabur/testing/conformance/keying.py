"""Unique keys: one job holds one at a time, until it has ended, has begun, or for a while."""

from __future__ import annotations

from tabur.model.bonds import Conflict
from tabur.model.clock import SECOND
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.states import State
from tabur.testing.conformance.subject import CRASH, Subject, hand_back, move


def a_job_under_a_key_that_another_one_holds_is_not_kept(store: Subject) -> None:
    first, second = store.keyed(), store.keyed()
    assert store.dispatch(first) == {}
    assert store.dispatch(second) == {second.id: first.id}
    assert not store.is_known(second)
    assert [each.id for each in store.claim()] == [first.id]
    assert store.dispatch(second) == {second.id: first.id}


def other_keys_and_jobs_without_one_are_kept(store: Subject) -> None:
    jobs = [store.keyed(), store.keyed(key=b"o" * 16), store.new()]
    assert store.dispatch(*jobs) == {}
    assert len(store.claim()) == 3


def of_two_in_one_dispatch_the_later_one_comes_later(store: Subject) -> None:
    first, second, other = store.keyed(), store.keyed(), store.new()
    assert store.dispatch(first, other, second) == {second.id: first.id}
    assert [each.id for each in store.claim()] == [first.id, other.id]


def a_known_id_is_passed_over_before_its_key_is_looked_at(store: Subject) -> None:
    holder = store.keyed()
    assert store.dispatch(holder, holder) == {}
    assert store.dispatch(holder) == {}
    done = store.keyed(key=b"d" * 16)
    store.dispatch(done)
    store.run(done)
    heir = store.keyed(key=b"d" * 16, conflict=Conflict.REPLACE)
    store.dispatch(heir)
    assert store.dispatch(done) == {}
    assert store.states(done, heir) == [State.COMPLETED, State.PENDING]


def a_batch_of_which_every_job_is_skipped_has_finished(store: Subject) -> None:
    store.dispatch(holder := store.keyed())
    batch = store.new_batch()
    skipped = store.keyed(batch=batch.id)
    answer = store.driver.dispatching.dispatch([skipped], [batch])
    assert dict(answer) == {skipped.id: holder.id}
    assert store.counts(batch) == (0, 0, 0, 0)
    assert store.batch(batch).is_complete


def what_was_skipped_is_not_kept_by_the_same_dispatch_again(store: Subject) -> None:
    """Once its batch has finished; before that it is tried again."""
    store.dispatch(holder := store.keyed())
    batch = store.new_batch()
    skipped, other = store.keyed(batch=batch.id), store.bound(batch=batch.id)
    store.driver.dispatching.dispatch([skipped, other], [batch])
    store.run(other)
    store.run(holder)
    assert dict(store.driver.dispatching.dispatch([skipped, other], [batch])) == {}
    assert not store.is_known(skipped)
    assert store.counts(batch) == (1, 0, 0, 0)
    assert store.holder() is None


def a_key_is_free_when_its_holder_has_ended(store: Subject) -> None:
    for to in (State.COMPLETED, State.FAILED, State.CANCELLED):
        store.dispatch(holder := store.keyed())
        store.run(holder, to)
        assert store.holder() is None


def a_key_is_free_when_its_holder_was_cancelled_or_cleared(store: Subject) -> None:
    for given in ({}, {"blockers": 1}, {"due_at": store.clock.ahead(60)}):
        store.dispatch(holder := store.keyed(**given))
        store.driver.dispatching.cancel(holder.id)
        assert store.holder() is None
        store.dispatch(store.keyed(**given))
        store.driver.dispatching.clear("default")
        assert store.holder() is None


def a_key_is_free_when_its_holder_was_called_back(store: Subject) -> None:
    for release in (False, True):
        store.dispatch(store.keyed())
        claimed = store.claim_one()
        store.driver.dispatching.cancel(claimed.id)
        assert store.holder() == claimed.id
        if release:
            store.driver.claiming.release_worker("w1", crash=CRASH)
        else:
            store.settle(move(claimed, State.PENDING))
        assert store.holder() is None


def a_key_is_free_when_its_holder_was_cancelled_as_it_waited(store: Subject) -> None:
    holder = store.keyed(blockers=1)
    first = store.bound(next=(holder.id,))
    store.dispatch(first, holder)
    store.run(first, State.FAILED)
    assert store.holder() is None


def a_key_is_held_through_retries_crashes_and_hand_backs(store: Subject) -> None:
    store.dispatch(holder := store.keyed())
    store.settle(hand_back(store.claim_one()))
    assert store.holder() == holder.id
    store.settle(move(store.claim_one(), State.PENDING))
    assert store.holder() == holder.id
    store.claim_one()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    assert store.holder() == holder.id
    store.settle(move(store.claim_one(), State.SCHEDULED, due_at=store.clock.ahead(60)))
    assert store.holder() == holder.id


def a_refused_or_repeated_settle_frees_nothing(store: Subject) -> None:
    store.dispatch(holder := store.keyed())
    claimed = store.claim_one()
    stale = move(claimed, State.COMPLETED, token=new_token())
    assert store.settle(stale) == [Settled.STALE]
    assert store.holder() == holder.id
    done = move(claimed, State.COMPLETED)
    store.settle(done)
    store.dispatch(heir := store.keyed())
    assert store.settle(done) == [Settled.DONE]
    assert store.holder() == heir.id


def a_job_that_is_not_kept_is_not_counted_and_nothing_waits_for_it(store: Subject) -> None:
    store.dispatch(store.keyed())
    waiting, batch = store.new(blockers=2), store.new_batch()
    other = store.bound(batch=batch.id, next=(waiting.id,))
    skipped = store.keyed(batch=batch.id, next=(waiting.id,))
    store.driver.dispatching.dispatch([other, skipped, waiting], [batch])
    assert store.counts(batch) == (1, 1, 0, 0)
    store.run(other, State.FAILED)
    store.driver.dispatching.retry([waiting.id])
    store.driver.dispatching.retry([other.id])
    store.run(other)
    assert store.state(waiting) is State.PENDING


def a_key_may_be_held_until_its_job_begins(store: Subject) -> None:
    holder = store.keyed(until_start=True)
    store.dispatch(holder)
    claimed = store.claim_one()
    assert store.holder() == holder.id
    store.driver.claiming.begin([(claimed.id, new_token()), (new_id(), claimed.token)])
    assert store.holder() == holder.id
    store.driver.claiming.begin([(claimed.id, claimed.token)])
    heir = store.keyed(until_start=True)
    assert store.dispatch(heir) == {}
    store.driver.claiming.begin([(claimed.id, claimed.token)])
    store.settle(move(claimed, State.COMPLETED))
    assert store.holder() == heir.id


def a_key_that_is_held_until_the_end_is_not_freed_at_the_begin(store: Subject) -> None:
    for given in ({}, {"window": 60 * SECOND}):
        store.dispatch(store.keyed(key=(key := new_id()), **given))
        claimed = store.claim_one()
        store.driver.claiming.begin([(claimed.id, claimed.token)])
        assert store.holder(key) == claimed.id
        store.settle(move(claimed, State.COMPLETED))


def a_key_until_the_start_is_freed_by_an_end_before_it(store: Subject) -> None:
    store.dispatch(holder := store.keyed(until_start=True))
    store.driver.dispatching.cancel(holder.id)
    assert store.holder() is None


def a_window_holds_a_key_whatever_becomes_of_the_job(store: Subject) -> None:
    holder = store.keyed(window=60 * SECOND)
    store.dispatch(holder)
    store.run(holder)
    assert store.holder() == holder.id
    store.driver.dispatching.forget_one(holder.id)
    store.clock.advance(59.999)
    assert store.holder() == holder.id
    store.clock.advance(0.001)
    store.dispatch(heir := store.keyed(window=60 * SECOND))
    store.driver.dispatching.cancel(heir.id)
    assert store.holder() == heir.id


def a_window_that_has_passed_frees_the_key_of_one_that_still_runs(store: Subject) -> None:
    store.dispatch(store.keyed(window=60 * SECOND))
    running = store.claim_one()
    store.clock.advance(60)
    store.dispatch(heir := store.keyed(window=60 * SECOND))
    store.settle(move(running, State.COMPLETED))
    assert store.holder() == heir.id


def a_retried_job_holds_its_key_again(store: Subject) -> None:
    store.dispatch(holder := store.keyed())
    store.run(holder, State.FAILED)
    assert store.driver.dispatching.retry([holder.id]) == 1
    assert store.holder() == holder.id


def a_retry_is_passed_over_while_another_one_holds_the_key(store: Subject) -> None:
    store.dispatch(first := store.keyed())
    store.run(first, State.FAILED)
    store.dispatch(second := store.keyed())
    assert store.driver.dispatching.retry([first.id]) == 0
    assert store.states(first, second) == [State.FAILED, State.PENDING]
    store.run(second)
    assert store.driver.dispatching.retry([first.id]) == 1
    assert store.holder() == first.id


def of_two_retried_at_once_one_gets_the_key(store: Subject) -> None:
    jobs = [store.keyed() for _ in range(2)]
    for job in jobs:
        store.dispatch(job)
        store.run(job, State.FAILED)
    assert store.driver.dispatching.retry([job.id for job in jobs]) == 1
    assert sorted(store.states(*jobs)) == [State.FAILED, State.PENDING]


def what_comes_back_with_another_needs_its_key(store: Subject) -> None:
    holder = store.keyed(blockers=1)
    first = store.bound(next=(holder.id,))
    store.dispatch(first, holder)
    store.run(first, State.FAILED)
    store.dispatch(heir := store.keyed())
    store.driver.dispatching.retry([first.id])
    assert store.states(first, holder, heir) == [State.PENDING, State.CANCELLED, State.PENDING]
    store.run(first, State.FAILED)
    store.run(heir)
    store.driver.dispatching.retry([first.id])
    assert store.states(first, holder) == [State.PENDING, State.BLOCKED]
    assert store.holder() == holder.id
