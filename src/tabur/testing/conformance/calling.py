"""What waits for a batch: `next` for all of its jobs, `catch` for the first failure, `finally_` for
the last end."""

from __future__ import annotations

from dataclasses import dataclass

from tabur.model.batches import UNFINISHED, NewBatch
from tabur.model.outcome import Settled
from tabur.model.records import NewJob
from tabur.model.states import State
from tabur.testing.conformance.subject import CRASH, Subject, move

PENDING, BLOCKED, CANCELLED = State.PENDING, State.BLOCKED, State.CANCELLED


@dataclass
class Called:
    """A batch, its jobs, and one job of each kind that waits for it, on a queue of their own."""

    batch: NewBatch
    jobs: list[NewJob]
    next: NewJob
    catch: NewJob
    last: NewJob

    def states(self, store: Subject) -> list[State]:
        """Of next, catch, finally."""
        return store.states(self.next, self.catch, self.last)


def what_follows_waits_for_the_end(store: Subject) -> None:
    called = _dispatched(store, 2)
    assert called.states(store) == [BLOCKED] * 3
    store.run(called.jobs[0])
    assert called.states(store) == [BLOCKED] * 3
    store.run(called.jobs[1])
    assert called.states(store) == [PENDING, CANCELLED, PENDING]
    assert {each.id for each in store.claim("after")} == {called.next.id, called.last.id}


def the_first_failure_is_caught_at_once_and_only_once(store: Subject) -> None:
    called = _dispatched(store, 3)
    first, second, third = store.claim()
    store.settle(move(first, State.FAILED))
    assert called.states(store) == [BLOCKED, PENDING, BLOCKED]
    (catch,) = store.claim("after")
    assert catch.id == called.catch.id
    store.settle(move(catch, State.COMPLETED))
    store.settle(move(second, State.FAILED))
    assert called.states(store) == [BLOCKED, State.COMPLETED, BLOCKED]
    store.settle(move(third, State.COMPLETED))
    assert called.states(store) == [CANCELLED, State.COMPLETED, PENDING]


def two_failures_in_one_turn_are_one_first_failure(store: Subject) -> None:
    called = _dispatched(store, 3, catch_blockers=2)
    first, second, _ = store.claim()
    store.settle(move(first, State.FAILED), move(second, State.FAILED))
    assert store.state(called.catch) is BLOCKED
    assert store.counts(called.batch) == (3, 1, 2, 0)


def a_later_failure_unblocks_nothing_more(store: Subject) -> None:
    called = _dispatched(store, 3, catch_blockers=2)
    for each in store.claim()[:2]:
        store.settle(move(each, State.FAILED))
    assert store.state(called.catch) is BLOCKED


def what_waited_for_all_is_cancelled_with_its_reason(store: Subject) -> None:
    called = _dispatched(store, 1)
    store.run(called.jobs[0], State.FAILED)
    record = store.find(called.next.id)
    assert record.state is CANCELLED
    assert record.error is not None
    assert record.error.message == UNFINISHED


def the_first_failure_cancels_the_batch(store: Subject) -> None:
    called = _dispatched(store, 3)
    first, second, third = store.claim()
    store.settle(move(first, State.FAILED))
    moment = store.clock()
    assert store.batch(called.batch).cancelled_at == moment
    store.clock.advance(1)
    store.settle(move(second, State.FAILED), move(third, State.CANCELLED))
    assert store.batch(called.batch).cancelled_at == moment


def a_batch_that_allows_failures_goes_on(store: Subject) -> None:
    called = _dispatched(store, 2, allow_failures=True)
    store.run(called.jobs[0], State.FAILED)
    assert store.batch(called.batch).cancelled_at is None
    assert store.driver.batches.cancelled([called.batch.id]) == frozenset()
    store.run(called.jobs[1])
    assert called.states(store) == [CANCELLED, PENDING, PENDING]


def a_cancelled_job_is_no_failure(store: Subject) -> None:
    called = _dispatched(store, 2)
    store.driver.dispatching.cancel(called.jobs[0].id)
    assert store.batch(called.batch).cancelled_at is None
    assert called.states(store) == [BLOCKED] * 3
    store.run(called.jobs[1])
    assert called.states(store) == [CANCELLED, CANCELLED, PENDING]


def whoever_ends_the_last_job_calls_what_follows(store: Subject) -> None:
    called_back, released = _dispatched(store, 1), _dispatched(store, 1)
    first, second = store.claim()
    store.driver.dispatching.cancel(first.id)
    store.driver.dispatching.cancel(second.id)
    store.settle(move(first, State.PENDING))
    store.driver.claiming.release_worker("w1", crash=CRASH)
    cancelled = _dispatched(store, 1)
    store.driver.dispatching.cancel(cancelled.jobs[0].id)
    cleared = _dispatched(store, 1)
    store.driver.dispatching.clear("default")
    for each in (called_back, released, cancelled, cleared):
        assert each.states(store) == [CANCELLED, CANCELLED, PENDING]


def a_repeated_settle_calls_nothing_again(store: Subject) -> None:
    called = _dispatched(store, 1, next_blockers=2)
    (running,) = store.claim()
    done = move(running, State.COMPLETED)
    assert store.settle(done, done) == [Settled.DONE] * 2
    store.settle(done)
    assert called.states(store) == [BLOCKED, CANCELLED, PENDING]


def an_empty_batch_has_finished(store: Subject) -> None:
    called = _dispatched(store, 0)
    record = store.batch(called.batch)
    assert store.counts(called.batch) == (0, 0, 0, 0)
    assert (record.finished_at, record.percent) == (store.clock(), 100)
    assert record.is_complete
    assert called.states(store) == [PENDING, CANCELLED, PENDING]


def a_batch_of_which_no_job_was_kept_has_finished(store: Subject) -> None:
    known = store.put()
    batch = store.new_batch()
    store.driver.dispatching.dispatch([store.new(id=known.id)], [batch])
    assert store.batch(batch).is_complete


def a_turn_may_claim_what_it_has_called(store: Subject) -> None:
    called = _dispatched(store, 2)
    moves = [move(each, State.COMPLETED) for each in store.claim()]
    claimed = store.claim("after", settle=moves)
    assert {each.id for each in claimed} == {called.next.id, called.last.id}


def what_follows_may_be_due_later(store: Subject) -> None:
    due_at = store.clock.ahead(60)
    later = store.new(blockers=1, due_at=due_at)
    batch = store.new_batch(next=(later.id,))
    job = store.bound(batch=batch.id)
    store.driver.dispatching.dispatch([later, job], [batch])
    store.run(job)
    assert (store.state(later), store.find(later.id).due_at) == (State.SCHEDULED, due_at)


def a_batch_in_a_batch_counts_when_it_ends(store: Subject) -> None:
    """What follows the inner one is a job of the outer one."""
    last = store.new(blockers=1)
    outer = store.new_batch(finally_=(last.id,))
    after = store.bound(batch=outer.id, blockers=1)
    inner = store.new_batch(next=(after.id,))
    jobs = [store.bound(batch=inner.id) for _ in range(2)]
    store.driver.dispatching.dispatch([*jobs, after, last], [inner, outer])
    store.run(jobs[0])
    store.run(jobs[1], State.FAILED)
    assert store.state(after) is CANCELLED
    assert store.counts(outer) == (1, 0, 0, 1)
    assert store.state(last) is PENDING


def _dispatched(
    store: Subject,
    count: int,
    *,
    next_blockers: int = 1,
    catch_blockers: int = 1,
    allow_failures: bool = False,
) -> Called:
    next_ = store.new(queue="after", blockers=next_blockers)
    catch = store.new(queue="after", blockers=catch_blockers)
    last = store.new(queue="after", blockers=1)
    batch = store.new_batch(
        next=(next_.id,), catch=(catch.id,), finally_=(last.id,), allow_failures=allow_failures
    )
    jobs = [store.bound(batch=batch.id) for _ in range(count)]
    store.driver.dispatching.dispatch([*jobs, next_, catch, last], [batch])
    return Called(batch, jobs, next_, catch, last)
