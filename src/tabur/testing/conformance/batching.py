"""Batches: their jobs are counted as they come and as they end, each once."""

from __future__ import annotations

import pytest

from tabur.errors import ConfigError
from tabur.model.decide import decide
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Ended, Outcome, Settled, Transition
from tabur.model.records import ClaimedJob, ErrorInfo
from tabur.model.retry import Policy
from tabur.model.states import State
from tabur.testing.conformance.subject import CRASH, Subject, hand_back, move


def a_batch_counts_its_jobs_as_they_are_dispatched(store: Subject) -> None:
    batch = store.new_batch(
        name="Import",
        allow_failures=True,
        next=(new_id(), new_id()),
        catch=(new_id(),),
        finally_=(new_id(),),
        options=b'{"queue":"high"}',
        tenant="acme",
        user="7",
    )
    jobs = [store.bound(batch=batch.id), store.new(), store.bound(batch=batch.id, blockers=1)]
    store.driver.dispatching.dispatch(jobs, [batch])
    record = store.batch(batch)
    for name in batch.__struct_fields__:
        assert getattr(record, name) == getattr(batch, name), name
    assert store.counts(batch) == (2, 2, 0, 0)
    assert (record.completed, record.percent, record.is_complete) == (0, 0, False)
    assert (record.cancelled_at, record.finished_at) == (None, None)


def a_bound_job_keeps_its_bonds(store: Subject) -> None:
    batch, (job,) = store.put_batch(1)
    assert store.find(job.id).bonds == job.bonds
    assert store.claim_one().bonds == job.bonds
    assert store.find(job.id).bonds == job.bonds
    assert store.counts(batch) == (1, 1, 0, 0)


def each_end_is_counted(store: Subject) -> None:
    batch, _ = store.put_batch(4, allow_failures=True)
    completed, failed, cancelled, last = store.claim()
    store.settle(move(completed, State.COMPLETED))
    assert store.counts(batch) == (4, 3, 0, 0)
    store.settle(move(failed, State.FAILED))
    assert store.counts(batch) == (4, 2, 1, 0)
    store.settle(move(cancelled, State.CANCELLED))
    assert store.counts(batch) == (4, 1, 1, 1)
    assert (store.batch(batch).percent, store.batch(batch).finished_at) == (75, None)
    store.clock.advance(5)
    store.settle(move(last, State.COMPLETED))
    record = store.batch(batch)
    assert (record.pending, record.completed, record.percent) == (0, 2, 100)
    assert (record.finished_at, record.is_complete) == (store.clock(), False)


def a_batch_of_completed_jobs_is_complete(store: Subject) -> None:
    batch, _ = store.put_batch(3)
    store.drain()
    assert store.batch(batch).is_complete
    assert store.counts(batch) == (3, 0, 0, 0)


def an_attempt_that_is_not_the_last_is_not_an_end(store: Subject) -> None:
    batch, _ = store.put_batch(3)
    handed_back, retried, released = store.claim()
    store.settle(
        hand_back(handed_back),
        move(retried, State.PENDING),
        move(released, State.SCHEDULED, due_at=store.clock.ahead(60)),
    )
    store.claim()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    assert store.counts(batch) == (3, 3, 0, 0)
    store.clock.advance(60)
    assert len(store.drain()) == 3
    assert store.counts(batch) == (3, 0, 0, 0)


def a_cancelled_job_is_counted(store: Subject) -> None:
    batch = store.new_batch()
    jobs = [
        store.bound(batch=batch.id),
        store.bound(batch=batch.id, blockers=1),
        store.bound(batch=batch.id, due_at=store.clock.ahead(60)),
    ]
    store.driver.dispatching.dispatch(jobs, [batch])
    for n, job in enumerate(jobs, 1):
        store.driver.dispatching.cancel(job.id)
        store.driver.dispatching.cancel(job.id)
        assert store.counts(batch) == (3, 3 - n, 0, n)
    assert store.batch(batch).finished_at == store.clock()


def a_cleared_queue_is_counted(store: Subject) -> None:
    batch, (running,) = store.put_batch(1)
    store.claim()
    waiting = [
        store.put_bound(batch=batch.id),
        store.put_bound(batch=batch.id, blockers=1),
        store.put_bound(batch=batch.id, due_at=store.clock.ahead(60)),
    ]
    assert store.driver.dispatching.clear("default") == 3
    assert store.states(running, *waiting) == [State.PROCESSING, *[State.CANCELLED] * 3]
    assert store.counts(batch) == (4, 1, 0, 3)


def a_job_called_back_while_it_ran_is_counted_as_it_ends(store: Subject) -> None:
    batch, _ = store.put_batch(4, allow_failures=True)
    first, second, third, fourth = store.claim()
    for each in (first, second, third, fourth):
        store.driver.dispatching.cancel(each.id)
    assert store.counts(batch) == (4, 4, 0, 0)
    store.settle(
        move(first, State.CANCELLED),
        move(second, State.PENDING),
        move(third, State.SCHEDULED, due_at=store.clock.ahead(60)),
    )
    assert store.counts(batch) == (4, 1, 0, 3)
    store.driver.claiming.release_worker("w1", crash=CRASH)
    assert store.counts(batch) == (4, 0, 0, 4)


def what_a_store_cannot_keep_is_counted_as_failed(store: Subject) -> None:
    batch, _ = store.put_batch(2, allow_failures=True)
    bad, good = store.claim()
    broken = move(bad, State.COMPLETED, ended_at=2**70)
    store.settle(broken, move(good, State.COMPLETED))
    expected = int(store.state(bad) is State.FAILED)
    assert store.counts(batch) == (2, 0, expected, 0)


def poison_is_counted(store: Subject) -> None:
    batch, _ = store.put_batch(1)
    for _ in range(3):
        assert store.counts(batch) == (1, 1, 0, 0)
        store.settle(_decided(store, store.claim_one(), Ended.CRASHED))
    assert store.counts(batch) == (1, 0, 1, 0)


def what_never_started_is_counted(store: Subject) -> None:
    batch, _ = store.put_batch(2, allow_failures=True)
    expired, rejected = store.claim()
    store.settle(_decided(store, expired, Ended.EXPIRED), _decided(store, rejected, Ended.REJECTED))
    assert store.counts(batch) == (2, 0, 2, 0)


def dispatching_a_batch_twice_counts_once(store: Subject) -> None:
    batch = store.new_batch()
    jobs = [store.bound(batch=batch.id) for _ in range(2)]
    store.driver.dispatching.dispatch([*jobs, jobs[0]], [batch])
    store.driver.dispatching.dispatch(jobs, [batch])
    store.driver.dispatching.dispatch(jobs)
    assert store.counts(batch) == (2, 2, 0, 0)
    store.run(jobs[0])
    store.driver.dispatching.dispatch(jobs, [batch])
    assert store.counts(batch) == (2, 1, 0, 0)
    store.run(jobs[1])
    before = store.batch(batch)
    store.driver.dispatching.dispatch(jobs, [batch])
    assert store.batch(batch) == before


def a_repeated_settle_counts_once(store: Subject) -> None:
    batch, _ = store.put_batch(2)
    first, _ = store.claim()
    done = move(first, State.COMPLETED)
    assert store.settle(done, done) == [Settled.DONE] * 2
    assert store.settle(done) == [Settled.DONE]
    assert store.counts(batch) == (2, 1, 0, 0)


def a_refused_settle_counts_nothing(store: Subject) -> None:
    batch, _ = store.put_batch(2)
    lost, gone = store.claim()
    stale = move(lost, State.FAILED, token=new_token())
    unknown = move(gone, State.FAILED, id=new_id())
    assert store.settle(stale, unknown) == [Settled.STALE, Settled.UNKNOWN]
    store.driver.claiming.release_worker("w1")
    assert store.settle(move(lost, State.FAILED)) == [Settled.STALE]
    assert store.counts(batch) == (2, 2, 0, 0)
    assert store.batch(batch).cancelled_at is None


def several_settles_of_one_turn_are_counted(store: Subject) -> None:
    batch, _ = store.put_batch(60, allow_failures=True)
    ends = [State.COMPLETED, State.FAILED, State.CANCELLED] * 20
    moves = [move(each, to) for each, to in zip(store.claim(), ends, strict=True)]
    store.settle(*moves[:59])
    assert store.counts(batch) == (60, 1, 20, 19)
    store.settle(*moves)
    assert store.counts(batch) == (60, 0, 20, 20)


def several_batches_in_one_turn_are_counted_each(store: Subject) -> None:
    batches = [store.new_batch(name=str(n), allow_failures=True) for n in range(7)]
    jobs = [store.bound(batch=batches[n % 7].id) for n in range(35)]
    store.driver.dispatching.dispatch(jobs, batches)
    claimed = store.claim()
    store.settle(*(move(each, State.FAILED) for each in claimed[:7]))
    store.settle(*(move(each, State.COMPLETED) for each in claimed[7:28]))
    for batch in batches:
        assert store.counts(batch) == (5, 1, 1, 0)
    store.settle(*(move(each, State.COMPLETED) for each in claimed[28:]))
    assert [store.counts(batch) for batch in batches] == [(5, 0, 1, 0)] * 7


def jobs_may_be_added_while_it_runs(store: Subject) -> None:
    batch, (first,) = store.put_batch(1)
    claimed = store.claim_one()
    added = store.put_bound(batch=batch.id)
    assert store.counts(batch) == (2, 2, 0, 0)
    store.settle(move(claimed, State.COMPLETED))
    assert store.batch(batch).finished_at is None
    assert store.drain() == [added.id]
    assert store.counts(batch) == (2, 0, 0, 0)
    assert store.state(first) is State.COMPLETED


def a_batch_that_is_finished_or_unknown_takes_no_jobs(store: Subject) -> None:
    finished, jobs = store.put_batch(1)
    store.drain()
    for wanted in (new_id(), finished.id):
        refused, other, opened = store.bound(batch=wanted), store.new(), store.new_batch()
        with pytest.raises(ConfigError, match="batch"):
            store.driver.dispatching.dispatch([other, refused], [opened])
        assert not store.is_known(other)
        assert not store.is_known(refused)
        assert store.driver.batches.find(opened.id) is None
    assert store.counts(finished) == (1, 0, 0, 0)
    store.driver.dispatching.dispatch(jobs)


def a_large_batch_is_counted(store: Subject) -> None:
    batch, jobs = store.put_batch(2_500)
    assert store.counts(batch) == (2_500, 2_500, 0, 0)
    store.driver.dispatching.clear("default")
    assert store.counts(batch) == (2_500, 0, 0, 2_500)
    assert store.state(jobs[-1]) is State.CANCELLED


def _decided(store: Subject, job: ClaimedJob, ended: Ended) -> Transition:
    error = None if ended is Ended.COMPLETED else ErrorInfo("Error", "no")
    outcome = Outcome(ended, None, store.clock(), error=error)
    return decide(job, Policy(), outcome, worker="w1", now=store.clock(), random=0.5)
