"""Retrying what is bound: with a job comes back what was cancelled because it had ended."""

from __future__ import annotations

from tabur.model.outcome import Ending
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject, move

PENDING, BLOCKED, CANCELLED = State.PENDING, State.BLOCKED, State.CANCELLED
COMPLETED, FAILED = State.COMPLETED, State.FAILED


def what_waited_for_a_job_comes_back_with_it(store: Subject) -> None:
    first, second, third = store.put_chain(3)
    store.run(first, FAILED)
    assert store.driver.dispatching.retry([first.id]) == 1
    assert store.states(first, second, third) == [PENDING, BLOCKED, BLOCKED]
    endings = [each.ending for each in store.driver.inspection.attempts(second.id)]
    assert endings == [Ending.RETRIED]
    assert store.drain() == [first.id, second.id, third.id]


def it_comes_back_as_often_as_it_must(store: Subject) -> None:
    jobs = store.put_chain(3)
    for _ in range(3):
        store.run(jobs[0], FAILED)
        store.driver.dispatching.retry([jobs[0].id])
    assert store.drain(failing={jobs[1].id}) == [jobs[0].id, jobs[1].id]
    store.driver.dispatching.retry([jobs[1].id])
    assert store.drain() == [jobs[1].id, jobs[2].id]


def what_comes_back_is_blocked_by_what_has_not_completed(store: Subject) -> None:
    top, left, right, bottom = store.put_diamond()
    store.run(top)
    store.run(left, FAILED)
    store.run(right)
    store.driver.dispatching.retry([left.id])
    assert store.states(left, bottom) == [PENDING, BLOCKED]
    store.run(left)
    assert store.state(bottom) is PENDING


def what_comes_back_waits_for_what_still_runs(store: Subject) -> None:
    top, left, right, bottom = store.put_diamond()
    store.run(top)
    claimed = {each.id: each for each in store.claim()}
    store.settle(move(claimed[left.id], FAILED))
    store.driver.dispatching.retry([left.id])
    store.run(left)
    assert store.state(bottom) is BLOCKED
    store.settle(move(claimed[right.id], COMPLETED))
    assert store.state(bottom) is PENDING


def a_whole_diamond_comes_back_with_its_top(store: Subject) -> None:
    top, left, right, bottom = store.put_diamond()
    store.run(top, FAILED)
    assert store.states(left, right, bottom) == [CANCELLED] * 3
    assert store.driver.dispatching.retry([top.id]) == 1
    assert store.states(top, left, right, bottom) == [PENDING, *[BLOCKED] * 3]
    store.run(top)
    store.run(left)
    assert store.state(bottom) is BLOCKED
    store.run(right)
    assert store.state(bottom) is PENDING


def what_waited_alone_is_blocked_until_its_source_has_come_back(store: Subject) -> None:
    first, second, third = store.put_chain(3)
    store.run(first, FAILED)
    assert store.driver.dispatching.retry([second.id]) == 1
    assert store.states(first, second, third) == [FAILED, BLOCKED, BLOCKED]
    assert store.claim() == []
    store.driver.dispatching.retry([first.id])
    assert store.drain() == [first.id, second.id, third.id]


def all_that_has_ended_may_be_retried_at_once_in_any_order(store: Subject) -> None:
    for backwards in (False, True):
        jobs = store.put_diamond()
        store.run(jobs[0], FAILED)
        ids = [job.id for job in jobs]
        store.driver.dispatching.retry(reversed(ids) if backwards else ids)
        assert store.states(*jobs) == [PENDING, *[BLOCKED] * 3]
        ran = store.drain()
        assert (ran[0], set(ran[1:3]), ran[3]) == (ids[0], set(ids[1:3]), ids[3])


def what_has_begun_or_has_failed_itself_does_not_come_back_with_another(store: Subject) -> None:
    other = store.put()
    first = store.put_bound(next=(other.id,))
    claimed = {each.id: each for each in store.claim()}
    store.settle(move(claimed[other.id], CANCELLED), move(claimed[first.id], FAILED))
    store.driver.dispatching.retry([first.id])
    assert store.states(first, other) == [PENDING, CANCELLED]


def what_waited_for_a_forgotten_job_may_run(store: Subject) -> None:
    first, second, _ = store.put_chain(3)
    store.run(first, FAILED)
    store.driver.dispatching.forget_one(first.id)
    assert store.driver.dispatching.retry([second.id]) == 1
    assert store.state(second) is PENDING


def a_retried_job_is_counted_again(store: Subject) -> None:
    batch, (first, second) = store.put_batch(2)
    store.run(first, FAILED)
    store.driver.dispatching.cancel(second.id)
    assert store.counts(batch) == (2, 0, 1, 1)
    store.driver.dispatching.retry([first.id])
    record = store.batch(batch)
    assert store.counts(batch) == (2, 1, 0, 1)
    assert (record.cancelled_at, record.finished_at) == (None, None)
    store.driver.dispatching.retry([second.id])
    assert store.counts(batch) == (2, 2, 0, 0)
    store.drain()
    assert store.batch(batch).is_complete


def what_waited_for_all_of_the_batch_comes_back_with_one_of_it(store: Subject) -> None:
    after, last = store.new(queue="after", blockers=1), store.new(queue="after", blockers=1)
    batch = store.new_batch(next=(after.id,), finally_=(last.id,), allow_failures=True)
    jobs = [store.bound(batch=batch.id) for _ in range(3)]
    store.driver.dispatching.dispatch([*jobs, after, last], [batch])
    store.drain(failing={jobs[0].id, jobs[1].id})
    assert store.states(after, last) == [CANCELLED, PENDING]
    store.driver.dispatching.retry([jobs[0].id])
    assert store.states(after, last) == [BLOCKED, PENDING]
    store.drain()
    assert store.states(after, last) == [CANCELLED, PENDING]
    store.driver.dispatching.retry([jobs[1].id])
    store.drain()
    assert store.batch(batch).is_complete
    assert store.states(after, last) == [PENDING, PENDING]
    assert len(store.driver.inspection.attempts(last.id)) == 0


def a_chain_in_a_batch_comes_back_with_its_counters(store: Subject) -> None:
    after = store.new(blockers=1)
    batch = store.new_batch(next=(after.id,))
    first, second, third = store.chain(3, batch=batch.id)
    store.driver.dispatching.dispatch([first, second, third, after], [batch])
    store.run(first, FAILED)
    assert store.counts(batch) == (3, 0, 1, 2)
    assert store.state(after) is CANCELLED
    store.driver.dispatching.retry([first.id])
    assert store.counts(batch) == (3, 3, 0, 0)
    assert store.states(first, second, third, after) == [PENDING, *[BLOCKED] * 3]
    assert store.drain() == [first.id, second.id, third.id, after.id]


def a_batch_after_a_batch_comes_back(store: Subject) -> None:
    last = store.new(blockers=1)
    later = store.new_batch(next=(last.id,))
    after = store.bound(batch=later.id, blockers=1)
    batch = store.new_batch(next=(after.id,))
    job = store.bound(batch=batch.id)
    store.driver.dispatching.dispatch([job, after, last], [batch, later])
    store.run(job, FAILED)
    assert store.counts(later) == (1, 0, 0, 1)
    store.driver.dispatching.retry([job.id])
    assert store.states(job, after, last) == [PENDING, BLOCKED, BLOCKED]
    assert store.counts(later) == (1, 1, 0, 0)
    assert store.drain() == [job.id, after.id, last.id]


def what_comes_back_for_a_job_and_a_batch_waits_for_both(store: Subject) -> None:
    waiting = store.new(blockers=2)
    batch = store.new_batch(next=(waiting.id,))
    inside, beside = store.bound(batch=batch.id), store.bound(next=(waiting.id,))
    store.driver.dispatching.dispatch([inside, beside, waiting], [batch])
    store.run(inside, FAILED)
    store.run(beside, FAILED)
    store.driver.dispatching.retry([inside.id])
    store.run(inside)
    assert store.state(waiting) is BLOCKED
    store.driver.dispatching.retry([beside.id])
    store.run(beside)
    assert store.state(waiting) is PENDING


def a_job_that_was_called_back_by_hand_is_retried_like_any(store: Subject) -> None:
    first, second, third = store.put_chain(3)
    store.driver.dispatching.cancel(second.id)
    store.driver.dispatching.retry([second.id])
    assert store.states(first, second, third) == [PENDING, BLOCKED, BLOCKED]
    assert store.drain() == [first.id, second.id, third.id]


def a_long_chain_comes_back_with_its_head(store: Subject) -> None:
    jobs = store.put_chain(1_200)
    store.run(jobs[0], FAILED)
    store.driver.dispatching.retry([jobs[0].id])
    assert store.states(jobs[0], jobs[1], jobs[-1]) == [PENDING, BLOCKED, BLOCKED]
    (size,) = store.driver.inspection.queues()
    assert (size.pending, size.blocked) == (1, 1_199)
