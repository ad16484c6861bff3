"""The moves that people ask for: cancel, retry, forget, clear."""

from __future__ import annotations

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.model.ids import new_id
from tabur.model.outcome import Settled, Unblock
from tabur.model.records import Attachment, ErrorInfo, Owner, Progress
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import CRASH, AnyJob, Subject, move

# cancel


def cancel_ends_at_once_what_has_not_started(store: Subject) -> None:
    jobs = [store.put(), store.put(due_at=store.clock.ahead(60)), store.put(blockers=1)]
    for job in jobs:
        assert store.driver.dispatching.cancel(job.id) is CancelAnswer.CANCELLED
        record = store.find(job.id)
        assert record.state is State.CANCELLED
        assert record.ended_at == store.clock()
        assert record.error is not None
        assert record.error.type == "JobCancelled"
        assert record.due_at is None


def what_was_cancelled_never_runs(store: Subject) -> None:
    jobs = [store.put(), store.put(due_at=store.clock.ahead(60)), store.put(blockers=1)]
    first = store.running(queue="other")
    for job in jobs:
        store.driver.dispatching.cancel(job.id)
    store.settle(move(first, State.COMPLETED, follow_ups=(Unblock(jobs[2].id),)))
    store.clock.advance(120)
    assert store.claim() == []
    assert {store.state(job) for job in jobs} == {State.CANCELLED}


def cancel_marks_what_runs_and_tells_its_worker(store: Subject) -> None:
    claimed, untouched = store.running(), store.running()
    assert store.turn(watch=True).cancelling == frozenset()
    assert store.driver.dispatching.cancel(claimed.id) is CancelAnswer.CANCELLING
    assert store.driver.dispatching.cancel(claimed.id) is CancelAnswer.CANCELLING
    record = store.find(claimed.id)
    assert (record.state, record.cancelling) == (State.PROCESSING, True)
    assert store.turn(watch=True).cancelling == {claimed.id}
    assert store.turn(watch=True, worker="w2").cancelling == frozenset()
    assert store.find(untouched.id).cancelling is False


def a_marked_job_may_still_end_as_it_likes(store: Subject) -> None:
    completed, stopped = store.running(), store.running()
    for claimed in (completed, stopped):
        store.driver.dispatching.cancel(claimed.id)
    answers = store.settle(move(completed, State.COMPLETED), move(stopped, State.CANCELLED))
    assert answers == [Settled.DONE, Settled.DONE]
    assert (store.state(completed), store.state(stopped)) == (State.COMPLETED, State.CANCELLED)
    assert store.find(completed.id).cancelling is False
    assert store.turn(watch=True).cancelling == frozenset()


def a_marked_job_that_would_run_again_is_cancelled(store: Subject) -> None:
    retried, delayed = store.running(), store.running()
    for claimed in (retried, delayed):
        store.driver.dispatching.cancel(claimed.id)
    later = store.clock.ahead(5)
    answers = store.settle(
        move(retried, State.PENDING), move(delayed, State.SCHEDULED, due_at=later)
    )
    assert answers == [Settled.DONE, Settled.DONE]
    assert (store.state(retried), store.state(delayed)) == (State.CANCELLED, State.CANCELLED)
    store.clock.advance(10)
    assert store.claim() == []
    assert store.settle(move(retried, State.PENDING)) == [Settled.DONE]


def cancel_leaves_finished_and_unknown_jobs(store: Subject) -> None:
    for to in (State.COMPLETED, State.FAILED, State.CANCELLED):
        claimed = store.finished(to)
        before = store.find(claimed.id)
        assert store.driver.dispatching.cancel(claimed.id) is CancelAnswer.FINISHED
        assert store.find(claimed.id) == before
    assert store.driver.dispatching.cancel(new_id()) is CancelAnswer.UNKNOWN


def a_job_cancelled_between_two_attempts_keeps_their_count(store: Subject) -> None:
    claimed = store.running()
    store.settle(move(claimed, State.SCHEDULED, due_at=store.clock.ahead(60)))
    store.driver.dispatching.cancel(claimed.id)
    record = store.find(claimed.id)
    assert (record.state, record.attempts) == (State.CANCELLED, 1)
    assert [each.attempt for each in store.driver.inspection.attempts(claimed.id)] == [1, 1]


# retry


def retry_makes_failed_and_cancelled_jobs_pending(store: Subject) -> None:
    failed = store.running()
    store.settle(move(failed, State.FAILED, attempts=3, exceptions=2, error=ErrorInfo("E", "no")))
    called_back = store.put(blockers=1, due_at=store.clock.ahead(60))
    store.driver.dispatching.cancel(called_back.id)
    ids = iter([failed.id, called_back.id, failed.id])
    assert store.driver.dispatching.retry(ids) == 2
    assert (store.state(failed), store.state(called_back)) == (State.PENDING, State.PENDING)
    again = {each.id: each for each in store.claim()}
    for job_id in (failed.id, called_back.id):
        assert (again[job_id].attempts, again[job_id].exceptions) == (0, 0)
        assert again[job_id].crashes == 0


def retry_passes_over_jobs_in_another_state(store: Subject) -> None:
    others: list[AnyJob] = [
        store.put(due_at=store.clock.ahead(60)),
        store.put(blockers=1),
        store.running(),
        store.finished(State.COMPLETED),
    ]
    others.append(store.put())
    before = [store.find(each.id) for each in others]
    assert store.driver.dispatching.retry([each.id for each in others] + [new_id()]) == 0
    assert [store.find(each.id) for each in others] == before


def retry_keeps_history_and_starts_progress_anew(store: Subject) -> None:
    claimed = store.running()
    store.report(claimed, Progress(done=5, total=9))
    store.settle(move(claimed, State.FAILED, attempts=4))
    store.driver.dispatching.retry([claimed.id])
    assert [each.attempt for each in store.driver.inspection.attempts(claimed.id)] == [4]
    assert store.find(claimed.id).progress == Progress()
    assert store.find(claimed.id).attempts == 0
    again = store.claim_one()
    store.settle(move(again, State.COMPLETED, result=b"1"))
    assert [each.attempt for each in store.driver.inspection.attempts(claimed.id)] == [4, 1]
    record = store.find(claimed.id)
    assert (record.state, record.attempts, record.result) == (State.COMPLETED, 1, b"1")


def a_retried_job_is_failed_no_more(store: Subject) -> None:
    claimed = store.finished(State.FAILED)
    only_failed = Filter(states=(State.FAILED,))
    assert store.driver.inspection.count(only_failed, at_most=10) == 1
    store.driver.dispatching.retry([claimed.id])
    assert store.driver.inspection.count(only_failed, at_most=10) == 0
    assert store.driver.dispatching.forget(only_failed) == 0
    assert store.state(claimed) is State.PENDING


def retry_after_crashes_runs_where_it_was_meant_to(store: Subject) -> None:
    store.put(isolation=Isolation.LOOP)
    store.claim()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    claimed = store.claim_one()
    assert claimed.isolation is Isolation.PROCESS
    store.settle(move(claimed, State.FAILED))
    store.driver.dispatching.retry([claimed.id])
    assert store.claim_one().isolation is Isolation.LOOP


# forget


def forget_removes_all_there_is_of_a_job(store: Subject) -> None:
    claimed = store.running()
    store.report(claimed, Progress(done=1))
    attachment = Attachment(1, "a.csv", 3, "text/csv", "x/1")
    assert store.driver.claiming.attach(claimed.id, claimed.token, attachment)
    store.settle(move(claimed, State.COMPLETED))
    assert store.driver.dispatching.forget(Filter()) == 1
    assert not store.is_known(claimed)
    assert store.driver.inspection.attempts(claimed.id) == []
    assert store.driver.inspection.attachments(claimed.id) == []
    assert store.settle(move(claimed, State.COMPLETED)) == [Settled.UNKNOWN]


def forget_leaves_what_is_not_finished(store: Subject) -> None:
    retried = store.running()
    store.settle(move(retried, State.SCHEDULED, due_at=store.clock.ahead(60)))
    unfinished: list[AnyJob] = [retried, store.running(), store.put(), store.put(blockers=1)]
    unfinished.append(store.put(due_at=store.clock.ahead(60)))
    assert store.driver.dispatching.forget(Filter()) == 0
    assert store.driver.dispatching.forget(Filter(ended_before=store.clock.ahead(99))) == 0
    assert all(store.is_known(job) for job in unfinished)


def forget_removes_only_what_matches(store: Subject) -> None:
    completed = store.finished(queue="a", name="x", tenant="acme", user="1")
    failed = store.finished(State.FAILED, queue="a", name="y", tenant="acme", user="2")
    cancelled = store.finished(State.CANCELLED, queue="b", name="y", tenant="zed", user="1")
    forget = store.driver.dispatching.forget
    assert forget(Filter(queue="c")) == 0
    assert forget(Filter(name="x", queue="b")) == 0
    assert forget(Filter(owner=Owner("acme", "3"))) == 0
    assert forget(Filter(owner=Owner("acme"))) == 0
    assert forget(Filter(ended_before=store.clock())) == 0
    assert forget(Filter(owner=Owner("acme", "2"))) == 1
    assert not store.is_known(failed)
    assert forget(Filter(states=(State.CANCELLED, State.FAILED))) == 1
    assert not store.is_known(cancelled)
    assert forget(Filter(ended_before=store.clock.ahead(60))) == 1
    assert not store.is_known(completed)


def forget_removes_more_than_one_chunk(store: Subject) -> None:
    store.put_many(1100)
    store.claim(slots={Isolation.THREAD: 2000})
    store.driver.claiming.release_worker("w1")
    assert store.driver.dispatching.clear("default") == 1100
    keep = store.put()
    assert store.driver.dispatching.forget(Filter()) == 1100
    assert store.is_known(keep)


def forget_one_removes_one_finished_job(store: Subject) -> None:
    gone, stays, unfinished = store.finished(), store.finished(), store.put()
    assert store.driver.dispatching.forget_one(gone.id)
    assert not store.driver.dispatching.forget_one(gone.id)
    assert not store.driver.dispatching.forget_one(unfinished.id)
    assert not store.driver.dispatching.forget_one(new_id())
    assert store.is_known(stays)
    assert store.state(unfinished) is State.PENDING


# clear


def clear_cancels_all_that_waits_on_a_queue(store: Subject) -> None:
    running, done = store.running(), store.finished()
    waiting = [store.put(), store.put(due_at=store.clock.ahead(60)), store.put(blockers=1)]
    other = store.put(queue="other")
    assert store.driver.dispatching.clear("default") == 3
    assert {store.state(job) for job in waiting} == {State.CANCELLED}
    assert (store.state(running), store.state(done)) == (State.PROCESSING, State.COMPLETED)
    assert store.find(running.id).cancelling is False
    assert store.state(other) is State.PENDING
    assert store.driver.dispatching.clear("default") == 0
    assert store.driver.dispatching.clear("no such queue") == 0
