"""Retention: finished jobs as what takes room, and their removal."""

from __future__ import annotations

from tabur.drivers.contract import Filter
from tabur.model.keeping import FinishedJob
from tabur.model.outcome import Settled
from tabur.model.records import Attachment, Progress
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import AnyJob, Subject, move


def finished_jobs_tell_how_and_when_they_ended_and_how_large_they_are(store: Subject) -> None:
    claimed = store.running(name="x", payload=b"12345")
    store.settle(move(claimed, State.COMPLETED, ended_at=77, result=b"123"))
    assert _finished(store) == [FinishedJob(claimed.id, "x", State.COMPLETED, 77, 8)]


def finished_jobs_come_last_first(store: Subject) -> None:
    ends = (State.COMPLETED, State.FAILED, State.CANCELLED, State.COMPLETED)
    ended = [_ended(store, to) for to in ends]
    assert [each.id for each in _finished(store)] == ended[::-1]
    assert [each.state for each in _finished(store)] == list(ends[::-1])


def what_has_not_ended_is_not_among_the_finished(store: Subject) -> None:
    retried = store.finished(State.FAILED)
    store.driver.dispatching.retry([retried.id])
    waiting = store.running()
    store.settle(move(waiting, State.SCHEDULED, due_at=store.clock.ahead(60)))
    store.put()
    store.put(blockers=1)
    assert _finished(store) == []


def a_retried_job_is_among_the_finished_once_more(store: Subject) -> None:
    failed = store.finished(State.FAILED)
    store.driver.dispatching.retry([failed.id])
    store.clock.advance(60)
    store.settle(move(store.claim_one(), State.COMPLETED, ended_at=store.clock()))
    (only,) = _finished(store)
    assert (only.id, only.state, only.ended_at) == (failed.id, State.COMPLETED, store.clock())


def finished_jobs_of_before_a_moment(store: Subject) -> None:
    old = _ended(store, State.COMPLETED)
    moment = store.clock()
    new = _ended(store, State.CANCELLED)
    assert [each.id for each in _finished(store, before=moment)] == []
    assert [each.id for each in _finished(store, before=moment + 1)] == [old]
    assert [each.id for each in _finished(store, before=store.clock() + 1)] == [new, old]


def all_that_have_finished_are_met_while_they_are_removed(store: Subject) -> None:
    """Many of them at one moment, as where a queue was cleared."""
    store.put_many(2_300)
    assert store.driver.dispatching.clear("default") == 2_300
    claimed = [_ended(store, State.COMPLETED) for _ in range(3)]
    met: list[bytes] = []
    for page in store.driver.retention.finished():
        ids = [each.id for each in page]
        met += ids
        assert store.driver.retention.remove(ids) == len(ids)
    assert len(met) == len(set(met)) == 2_303
    assert met[:3] == claimed[::-1]
    assert store.driver.inspection.count(Filter(), at_most=1) == 0


def all_that_have_finished_are_met_where_every_other_one_stays(store: Subject) -> None:
    store.put_many(2_300)
    store.driver.dispatching.clear("default")
    met: list[bytes] = []
    for page in store.driver.retention.finished():
        met += [each.id for each in page]
        store.driver.retention.remove([each.id for each in page[::2]])
    assert len(met) == len(set(met)) == 2_300
    assert store.driver.inspection.count(Filter(), at_most=9_999) == 1_150


def remove_takes_all_there_is_of_a_job(store: Subject) -> None:
    claimed = store.running()
    store.report(claimed, Progress(done=1))
    attachment = Attachment(1, "a.csv", 3, "text/csv", "x/1")
    assert store.driver.claiming.attach(claimed.id, claimed.token, attachment)
    store.settle(move(claimed, State.COMPLETED))
    assert store.driver.retention.remove([claimed.id]) == 1
    assert not store.is_known(claimed)
    assert store.driver.inspection.attempts(claimed.id) == []
    assert store.driver.inspection.attachments(claimed.id) == []
    assert store.settle(move(claimed, State.COMPLETED)) == [Settled.UNKNOWN]
    assert store.driver.retention.remove([claimed.id]) == 0


def remove_leaves_what_is_not_finished(store: Subject) -> None:
    retried = store.finished(State.FAILED)
    store.driver.dispatching.retry([retried.id])
    running = store.claim_one()
    rest: list[AnyJob] = [running, store.put(), store.put(blockers=1)]
    rest.append(store.put(due_at=store.clock.ahead(60)))
    gone = store.finished()
    assert store.driver.retention.remove([*(each.id for each in rest), gone.id]) == 1
    assert all(store.is_known(each) for each in rest)
    assert store.driver.retention.remove([]) == 0


def large_ones_are_met_too(store: Subject) -> None:
    store.put_many(9, payload=bytes(900_000))
    moves = [move(each, State.COMPLETED) for each in store.claim(slots={Isolation.THREAD: 9})]
    store.settle(*moves)
    assert [each.size for each in _finished(store)] == [900_000] * 9


def _ended(store: Subject, to: State) -> bytes:
    """A job that ended a minute later than the one before."""
    claimed = store.running()
    store.clock.advance(60)
    store.settle(move(claimed, to, ended_at=store.clock()))
    return claimed.id


def _finished(store: Subject, *, before: int | None = None) -> list[FinishedJob]:
    return [each for page in store.driver.retention.finished(before=before) for each in page]
