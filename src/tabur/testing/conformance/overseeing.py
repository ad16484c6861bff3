"""Batches for who looks at them, cancels them and removes them."""

from __future__ import annotations

from tabur.drivers.contract import Filter
from tabur.model.batches import UNFINISHED
from tabur.model.ids import new_id
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject, move


def an_unknown_batch_is_none(store: Subject) -> None:
    assert store.driver.batches.find(new_id()) is None
    assert list(store.driver.batches.list(limit=10)) == []


def the_newest_batch_is_listed_first(store: Subject) -> None:
    batches = [store.put_batch(n)[0] for n in range(5)]
    newest_first = [store.batch(each) for each in reversed(batches)]
    listed = store.driver.batches.list
    assert list(listed(limit=10)) == newest_first
    assert list(listed(limit=2)) == newest_first[:2]
    assert list(listed(limit=2, after=newest_first[1].id)) == newest_first[2:4]
    assert list(listed(limit=2, after=newest_first[-1].id)) == []


def jobs_of_one_batch_are_listed_and_counted(store: Subject) -> None:
    batch, jobs = store.put_batch(3)
    store.put_batch(2)
    store.put_many(2)
    store.run(jobs[0])
    of_batch = Filter(batch=batch.id)
    inspection = store.driver.inspection
    listed = [each.id for each in inspection.list(of_batch, limit=10)]
    assert listed == [job.id for job in reversed(jobs)]
    assert [each.id for each in inspection.list(of_batch, limit=1, after=listed[0])] == [listed[1]]
    assert inspection.count(of_batch, at_most=10) == 3
    assert inspection.count(of_batch, at_most=2) == 2
    completed = Filter(batch=batch.id, states=(State.COMPLETED,))
    assert [each.id for each in inspection.list(completed, limit=10)] == [jobs[0].id]
    waiting = Filter(batch=batch.id, states=(State.PENDING,))
    assert inspection.count(waiting, at_most=10) == 2
    assert inspection.count(Filter(batch=new_id()), at_most=10) == 0


def jobs_of_one_batch_are_forgotten(store: Subject) -> None:
    batch, _ = store.put_batch(2)
    other = store.put()
    store.drain()
    assert store.driver.dispatching.forget(Filter(batch=batch.id)) == 2
    assert store.is_known(other)
    assert store.counts(batch) == (2, 0, 0, 0)


def a_cancelled_batch_is_told_apart(store: Subject) -> None:
    first, second, third = (store.put_batch(1)[0] for _ in range(3))
    assert store.driver.batches.cancelled([]) == frozenset()
    assert store.driver.batches.cancel(second.id)
    ids = [first.id, second.id, third.id, new_id()]
    assert store.driver.batches.cancelled(ids) == frozenset({second.id})
    assert store.batch(second).cancelled_at == store.clock()
    assert store.batch(first).cancelled_at is None


def cancelling_a_batch_ends_nothing_by_itself(store: Subject) -> None:
    last = store.new(blockers=1)
    batch = store.new_batch(finally_=(last.id,))
    jobs = [store.bound(batch=batch.id) for _ in range(2)]
    store.driver.dispatching.dispatch([*jobs, last], [batch])
    first, second = store.claim()
    assert store.driver.batches.cancel(batch.id)
    assert store.counts(batch) == (2, 2, 0, 0)
    assert store.states(first, last) == [State.PROCESSING, State.BLOCKED]
    store.settle(move(first, State.COMPLETED), move(second, State.CANCELLED))
    assert store.counts(batch) == (2, 0, 0, 1)
    assert store.state(last) is State.PENDING


def a_batch_is_cancelled_once(store: Subject) -> None:
    batch, jobs = store.put_batch(1)
    finished, _ = store.put_batch(0)
    assert store.driver.batches.cancel(batch.id)
    moment = store.clock()
    store.clock.advance(1)
    assert not store.driver.batches.cancel(batch.id)
    assert store.batch(batch).cancelled_at == moment
    assert not store.driver.batches.cancel(finished.id)
    assert not store.driver.batches.cancel(new_id())
    store.run(jobs[0])
    assert not store.driver.batches.cancel(batch.id)


def jobs_may_be_added_to_a_cancelled_batch(store: Subject) -> None:
    batch, _ = store.put_batch(1)
    store.driver.batches.cancel(batch.id)
    store.put_bound(batch=batch.id)
    assert store.counts(batch) == (2, 2, 0, 0)
    assert store.driver.batches.cancelled([batch.id]) == frozenset({batch.id})


def finished_batches_are_pruned_by_when_they_finished(store: Subject) -> None:
    long_ago, _ = store.put_batch(0)
    unfinished, (job,) = store.put_batch(1)
    store.clock.advance(60)
    lately, _ = store.put_batch(0)
    prune = store.driver.batches.prune
    assert prune(before=store.clock.ahead(-60), limit=10) == 0
    assert prune(before=store.clock(), limit=10) == 1
    assert store.driver.batches.find(long_ago.id) is None
    assert [each.id for each in store.driver.batches.list(limit=10)] == [lately.id, unfinished.id]
    store.run(job)
    assert prune(before=store.clock.ahead(1), limit=1) == 1
    assert prune(before=store.clock.ahead(1), limit=10) == 1
    assert store.state(job) is State.COMPLETED


def an_unfinished_batch_is_pruned_with_what_waits_for_it(store: Subject) -> None:
    waiting = [store.new(blockers=1) for _ in range(3)]
    next_, catch, last = waiting
    batch = store.new_batch(next=(next_.id,), catch=(catch.id,), finally_=(last.id,))
    job = store.bound(batch=batch.id)
    store.driver.dispatching.dispatch([job, *waiting], [batch])
    store.clock.advance(60)
    young, _ = store.put_batch(1)
    finished, _ = store.put_batch(0)
    prune = store.driver.batches.prune
    assert prune(before=store.clock.ahead(-60), unfinished=True, limit=10) == 0
    assert prune(before=store.clock(), unfinished=True, limit=10) == 1
    assert store.driver.batches.find(batch.id) is None
    assert [each.id for each in store.driver.batches.list(limit=9)] == [finished.id, young.id]
    assert store.states(*waiting) == [State.CANCELLED] * 3
    error = store.find(next_.id).error
    assert error is not None
    assert error.message == UNFINISHED


def a_job_of_a_pruned_batch_is_counted_by_nobody(store: Subject) -> None:
    batch, (job, other) = store.put_batch(2)
    store.clock.advance(60)
    claimed, _ = store.claim()
    store.driver.batches.prune(before=store.clock(), unfinished=True, limit=10)
    store.settle(move(claimed, State.FAILED))
    store.driver.dispatching.cancel(other.id)
    assert store.state(job) is State.FAILED
    assert store.driver.dispatching.retry([job.id]) == 1
    assert store.state(job) is State.PENDING
    assert store.driver.batches.find(batch.id) is None


def what_waits_for_others_too_survives_the_pruning_of_a_complete_batch(store: Subject) -> None:
    waiting = store.new(blockers=2)
    batch = store.new_batch(next=(waiting.id,))
    job, other = store.bound(batch=batch.id), store.bound(next=(waiting.id,), due_at=None)
    store.driver.dispatching.dispatch([job, other, waiting], [batch])
    store.run(job)
    store.clock.advance(60)
    assert store.driver.batches.prune(before=store.clock(), limit=10) == 1
    assert store.state(waiting) is State.BLOCKED
    store.run(other)
    assert store.state(waiting) is State.PENDING
