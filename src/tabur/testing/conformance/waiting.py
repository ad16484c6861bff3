"""Jobs that wait for others: `next` of each, from its dispatch on."""

from __future__ import annotations

from tabur.drivers.contract import Filter
from tabur.model.batches import DEPENDENCY
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.states import State
from tabur.testing.conformance.subject import CRASH, Subject, move

PENDING, BLOCKED, CANCELLED = State.PENDING, State.BLOCKED, State.CANCELLED


def a_job_waits_for_the_one_before(store: Subject) -> None:
    first, second, third = store.put_chain(3)
    assert [each.id for each in store.claim()] == [first.id]
    store.driver.claiming.release_worker("w1")
    assert store.drain() == [first.id, second.id, third.id]


def a_job_that_ends_otherwise_cancels_what_waits(store: Subject) -> None:
    for to in (State.FAILED, State.CANCELLED):
        first, second, third = store.put_chain(3)
        store.run(first, to)
        for each in (second, third):
            record = store.find(each.id)
            assert record.state is CANCELLED
            assert record.error is not None
            assert record.error.message == DEPENDENCY
            assert len(store.driver.inspection.attempts(each.id)) == 1
        assert store.claim() == []


def whoever_ends_a_job_cancels_what_waits(store: Subject) -> None:
    called_back, released = store.put_chain(2), store.put_chain(2)
    for each in store.claim():
        store.driver.dispatching.cancel(each.id)
        if each.id == called_back[0].id:
            store.settle(move(each, PENDING))
    store.driver.claiming.release_worker("w1", crash=CRASH)
    cancelled = store.put_chain(2)
    store.driver.dispatching.cancel(cancelled[0].id)
    cleared = [store.bound(blockers=1), store.new(queue="other", blockers=1)]
    head = store.bound(next=tuple(each.id for each in cleared))
    store.driver.dispatching.dispatch([head, *cleared])
    store.driver.dispatching.clear("default")
    for chain in (called_back, released, cancelled, [head, *cleared]):
        assert set(store.states(*chain)) == {CANCELLED}


def a_waiting_job_that_is_cancelled_cancels_what_waits_for_it(store: Subject) -> None:
    first, second, third = store.put_chain(3)
    store.driver.dispatching.cancel(second.id)
    assert store.states(first, second, third) == [PENDING, CANCELLED, CANCELLED]
    store.run(first)
    assert store.states(first, second, third) == [State.COMPLETED, CANCELLED, CANCELLED]


def an_attempt_that_is_not_the_last_changes_nothing_for_what_waits(store: Subject) -> None:
    first, second = store.put_chain(2)
    store.settle(move(store.claim_one(), PENDING))
    store.claim_one()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    assert store.state(second) is BLOCKED
    assert store.drain() == [first.id, second.id]


def a_long_chain_that_fails_at_its_head_is_cancelled_at_once(store: Subject) -> None:
    last = store.new(blockers=1)
    batch = store.new_batch(finally_=(last.id,))
    jobs = store.chain(1_200, batch=batch.id)
    store.driver.dispatching.dispatch([*jobs, last], [batch])
    store.run(jobs[0], State.FAILED)
    cancelled = Filter(states=(CANCELLED,))
    assert store.driver.inspection.count(cancelled, at_most=10_000) == 1_199
    assert store.state(jobs[-1]) is CANCELLED
    assert store.counts(batch) == (1_200, 0, 1, 1_199)
    assert store.drain() == [last.id]


def a_job_that_waits_for_two_starts_after_both(store: Subject) -> None:
    top, left, right, bottom = store.put_diamond()
    assert store.drain()[0] == top.id
    assert store.states(left, right, bottom) == [State.COMPLETED] * 3
    top, left, right, bottom = store.put_diamond()
    store.run(top)
    store.run(left)
    assert store.state(bottom) is BLOCKED
    store.run(right)
    assert store.state(bottom) is PENDING


def two_that_end_in_one_turn_unblock_what_waits_for_both(store: Subject) -> None:
    top, _, _, bottom = store.put_diamond()
    store.run(top)
    store.settle(*(move(each, State.COMPLETED) for each in store.claim()))
    assert store.state(bottom) is PENDING


def one_of_two_that_fails_cancels_what_waits_for_both_once(store: Subject) -> None:
    top, left, right, bottom = store.put_diamond()
    store.run(top)
    store.run(left, State.FAILED)
    assert store.states(right, bottom) == [PENDING, CANCELLED]
    store.run(right, State.FAILED)
    assert store.state(bottom) is CANCELLED
    assert len(store.driver.inspection.attempts(bottom.id)) == 1


def two_that_fail_in_one_turn_cancel_what_waits_for_both_once(store: Subject) -> None:
    top, _, _, bottom = store.put_diamond()
    store.run(top)
    store.settle(*(move(each, State.FAILED) for each in store.claim()))
    assert store.state(bottom) is CANCELLED
    assert len(store.driver.inspection.attempts(bottom.id)) == 1


def many_may_wait_for_one_and_one_for_many(store: Subject) -> None:
    last = store.new(blockers=40)
    middle = [store.bound(blockers=1, next=(last.id,)) for _ in range(40)]
    first = store.bound(next=tuple(each.id for each in middle))
    store.driver.dispatching.dispatch([first, *middle, last])
    store.run(first)
    claimed = store.claim()
    assert {each.id for each in claimed} == {each.id for each in middle}
    store.settle(*(move(each, State.COMPLETED) for each in claimed[:39]))
    assert store.state(last) is BLOCKED
    store.settle(move(claimed[39], State.COMPLETED))
    assert store.state(last) is PENDING


def a_job_waits_for_jobs_and_for_a_batch(store: Subject) -> None:
    for last_is_batch in (True, False):
        waiting = store.new(blockers=3)
        batch = store.new_batch(next=(waiting.id,))
        inside = store.bound(batch=batch.id)
        beside = [store.bound(next=(waiting.id,)) for _ in range(2)]
        store.driver.dispatching.dispatch([inside, *beside, waiting], [batch])
        order = [*beside, inside] if last_is_batch else [inside, *beside]
        for each in order:
            assert store.state(waiting) is BLOCKED
            store.run(each)
        assert store.drain() == [waiting.id]


def what_waits_for_a_batch_is_cancelled_by_another_source(store: Subject) -> None:
    waiting = store.new(blockers=2)
    batch = store.new_batch(next=(waiting.id,))
    inside, beside = store.bound(batch=batch.id), store.bound(next=(waiting.id,))
    store.driver.dispatching.dispatch([inside, beside, waiting], [batch])
    store.run(beside, State.FAILED)
    assert store.state(waiting) is CANCELLED
    store.run(inside)
    assert store.state(waiting) is CANCELLED
    assert store.batch(batch).is_complete


def what_is_unblocked_before_its_time_is_scheduled(store: Subject) -> None:
    due_at = store.clock.ahead(60)
    waiting = store.new(blockers=1, due_at=due_at)
    first = store.bound(next=(waiting.id,))
    store.driver.dispatching.dispatch([first, waiting])
    store.run(first)
    assert (store.state(waiting), store.find(waiting.id).due_at) == (State.SCHEDULED, due_at)


def a_turn_may_claim_what_its_settles_have_unblocked(store: Subject) -> None:
    _, second = store.put_chain(2)
    claimed = store.claim(settle=[move(store.claim_one(), State.COMPLETED)])
    assert [each.id for each in claimed] == [second.id]


def a_repeated_or_refused_settle_unblocks_nothing(store: Subject) -> None:
    waiting = store.new(blockers=2)
    store.driver.dispatching.dispatch([store.bound(next=(waiting.id,)), waiting])
    claimed = store.claim_one()
    assert store.settle(move(claimed, State.FAILED, token=new_token())) == [Settled.STALE]
    done = move(claimed, State.COMPLETED)
    assert store.settle(done, done) == [Settled.DONE] * 2
    assert store.settle(done) == [Settled.DONE]
    assert store.state(waiting) is BLOCKED


def what_is_not_blocked_or_unknown_is_left_alone(store: Subject) -> None:
    pending, later = store.put(queue="other"), store.put(due_at=store.clock.ahead(60))
    done = store.finished()
    before = [store.find(each.id) for each in (pending, later, done)]
    targets = (pending.id, later.id, done.id, new_id())
    store.run(store.put_bound(next=targets))
    store.run(store.put_bound(next=targets), State.FAILED)
    assert [store.find(each.id) for each in (pending, later, done)] == before
