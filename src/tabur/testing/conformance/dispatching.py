"""Dispatch: what is kept, once, and in which state."""

from __future__ import annotations

from tabur.model.records import NewJob
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import AnyJob, Subject, move


def a_dispatched_job_is_pending_with_all_its_fields(store: Subject) -> None:
    job = store.put(
        name="import",
        queue="high",
        isolation=Isolation.LOOP,
        payload=b'{"n":1}',
        priority=-7,
        options=b'{"tries":3}',
        tenant="acme",
        user="7",
        locale="ar",
    )
    record = store.find(job.id)
    assert record.state is State.PENDING
    for name in ("id", "name", "queue", "payload", "created_at", "priority", "options"):
        assert getattr(record, name) == getattr(job, name), name
    assert (record.tenant, record.user, record.locale) == ("acme", "7", "ar")
    assert (record.attempts, record.crashes, record.cancelling) == (0, 0, False)
    assert (record.due_at, record.claimed_at, record.worker) == (None, None, None)
    assert (record.error, record.result, record.ended_at) == (None, None, None)


def a_job_whose_time_lies_ahead_is_scheduled(store: Subject) -> None:
    due_at = store.clock.ahead(60)
    record = store.find(store.put(due_at=due_at).id)
    assert (record.state, record.due_at) == (State.SCHEDULED, due_at)


def a_job_whose_time_has_passed_is_pending(store: Subject) -> None:
    job, at_this_moment = store.put(due_at=store.clock.ahead(-60)), store.put(due_at=store.clock())
    assert store.state(job) is State.PENDING
    assert store.state(at_this_moment) is State.PENDING


def a_job_with_blockers_is_blocked_whatever_its_time(store: Subject) -> None:
    assert store.state(store.put(blockers=2)) is State.BLOCKED
    assert store.state(store.put(blockers=1, due_at=store.clock.ahead(60))) is State.BLOCKED


def dispatching_nothing_is_nothing(store: Subject) -> None:
    store.driver.dispatching.dispatch([])
    assert store.claim() == []


def dispatching_twice_is_dispatching_once(store: Subject) -> None:
    job = store.put(payload=b"1")
    store.driver.dispatching.dispatch([job, job])
    store.driver.dispatching.dispatch([_again(job)])
    assert [each.payload for each in store.claim()] == [b"1"]
    assert store.claim() == []


def a_known_id_does_not_keep_its_neighbours_out(store: Subject) -> None:
    known = store.put()
    fresh = [store.new(), store.new()]
    store.driver.dispatching.dispatch([fresh[0], known, fresh[1], fresh[0]])
    assert {each.id for each in store.claim()} == {known.id, fresh[0].id, fresh[1].id}


def an_id_is_known_in_every_state(store: Subject) -> None:
    waiting = [store.put(due_at=store.clock.ahead(60)), store.put(blockers=1)]
    running = store.running()
    ended = [store.finished(to) for to in (State.COMPLETED, State.FAILED, State.CANCELLED)]
    everything: list[AnyJob] = [*waiting, running, *ended]
    before = [store.find(each.id) for each in everything]
    store.driver.dispatching.dispatch([store.new(id=each.id) for each in everything])
    assert [store.find(each.id) for each in everything] == before
    assert store.claim() == []


def an_id_is_known_while_its_job_is_retried(store: Subject) -> None:
    claimed = store.running()
    store.settle(move(claimed, State.SCHEDULED, due_at=store.clock.ahead(60)))
    store.driver.dispatching.dispatch([store.new(id=claimed.id)])
    assert store.state(claimed) is State.SCHEDULED
    assert store.find(claimed.id).attempts == 1


def a_forgotten_id_is_new_again(store: Subject) -> None:
    claimed = store.finished()
    assert store.driver.dispatching.forget_one(claimed.id)
    store.driver.dispatching.dispatch([store.new(id=claimed.id)])
    record = store.find(claimed.id)
    assert (record.state, record.attempts, record.result) == (State.PENDING, 0, None)
    assert store.driver.inspection.attempts(claimed.id) == []


def migrating_twice_does_nothing_more(store: Subject) -> None:
    job = store.put()
    assert list(store.driver.migrate()) == []
    assert store.state(job) is State.PENDING


def its_clock_can_be_asked(store: Subject) -> None:
    assert store.driver.now() == store.clock()
    store.clock.advance(3600)
    assert store.driver.now() == store.clock()


def a_check_tells_of_the_store(store: Subject) -> None:
    assert store.driver.name
    assert "store" in store.driver.check()


def _again(job: NewJob) -> NewJob:
    return NewJob(
        id=job.id,
        name="other",
        queue=job.queue,
        isolation=job.isolation,
        payload=b"2",
        created_at=job.created_at + 1,
    )


def a_large_dispatch_is_all_or_only_what_was_unknown(store: Subject) -> None:
    jobs = [store.new() for _ in range(4_500)]
    store.driver.dispatching.dispatch(jobs[4_000:4_200])
    store.driver.dispatching.dispatch(jobs)
    (size,) = store.driver.inspection.queues()
    assert size.pending == len(jobs)
    first = store.claim(slots={Isolation.THREAD: 300})
    assert [each.id for each in first] == [job.id for job in (*jobs[4_000:4_200], *jobs[:100])]
