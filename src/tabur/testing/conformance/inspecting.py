"""Inspection: single jobs, pages of them, counts, queues."""

from __future__ import annotations

from tabur.drivers.contract import Filter
from tabur.model.ids import new_id
from tabur.model.records import Backlog, ErrorInfo, Owner, QueueSize
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import AnyJob, Subject, move


def an_unknown_id_is_found_nowhere(store: Subject) -> None:
    store.put()
    assert store.driver.inspection.find(new_id()) is None
    assert list(store.driver.inspection.attempts(new_id())) == []


def lists_are_newest_first_and_without_payloads(store: Subject) -> None:
    jobs: list[AnyJob] = [
        *store.put_many(3, payload=b"secret"),
        store.finished(),
        store.put(blockers=1),
    ]
    listed = store.driver.inspection.list(Filter(), limit=10)
    assert [each.id for each in listed] == sorted((job.id for job in jobs), reverse=True)
    assert {each.payload for each in listed} == {b""}


def a_listed_job_tells_how_it_ended(store: Subject) -> None:
    claimed = store.running()
    error = ErrorInfo("E", "no")
    store.settle(move(claimed, State.FAILED, error=error, ended_at=22))
    (listed,) = store.driver.inspection.list(Filter(), limit=10)
    assert (listed.state, listed.error, listed.ended_at) == (State.FAILED, error, 22)


def pages_hold_every_job_once(store: Subject) -> None:
    ids = sorted((job.id for job in store.put_many(25)), reverse=True)
    seen: list[bytes] = []
    after: bytes | None = None
    while page := store.driver.inspection.list(Filter(), limit=7, after=after):
        assert len(page) <= 7
        seen += [each.id for each in page]
        after = page[-1].id
    assert seen == ids


def a_page_goes_on_behind_a_job_that_is_gone(store: Subject) -> None:
    old, middle, new = (store.finished() for _ in range(3))
    store.driver.dispatching.forget_one(middle.id)
    page = store.driver.inspection.list(Filter(), limit=10, after=middle.id)
    assert [each.id for each in page] == [old.id]
    assert store.is_known(new)


def a_filter_restricts_by_each_of_its_fields(store: Subject) -> None:
    failed = store.finished(State.FAILED, queue="a", name="x", tenant="acme", user="1")
    pending = store.put(queue="a", name="y", tenant="acme", user="2")
    scheduled = store.put(queue="b", name="x", due_at=store.clock.ahead(60), tenant="acme")
    blocked = store.put(queue="b", name="y", blockers=1)
    running = store.running(queue="c", name="x", user="1")

    def matching(**fields: object) -> set[bytes]:
        which = Filter(**fields)  # type: ignore[arg-type]  # a dict of fields
        listed = store.driver.inspection.list(which, limit=100)
        assert store.driver.inspection.count(which, at_most=100) == len(listed)
        return {each.id for each in listed}

    everything = {each.id for each in (failed, pending, scheduled, blocked, running)}
    assert matching() == everything
    assert matching(states=(State.FAILED,)) == {failed.id}
    assert matching(states=(State.PENDING,)) == {pending.id}
    assert matching(states=(State.SCHEDULED,)) == {scheduled.id}
    assert matching(states=(State.BLOCKED,)) == {blocked.id}
    assert matching(states=(State.PROCESSING,)) == {running.id}
    assert matching(states=(State.FAILED, State.PENDING)) == {failed.id, pending.id}
    assert matching(states=(State.COMPLETED, State.CANCELLED)) == set()
    assert matching(queue="a") == {failed.id, pending.id}
    assert matching(name="x") == {failed.id, scheduled.id, running.id}
    assert matching(queue="a", name="x") == {failed.id}
    assert matching(owner=Owner("acme", "1")) == {failed.id}
    assert matching(owner=Owner("acme")) == {scheduled.id}
    assert matching(owner=Owner(None, "1")) == {running.id}
    assert matching(owner=Owner()) == {blocked.id}
    assert matching(states=(State.FAILED,), owner=Owner("acme", "2")) == set()


def a_tenant_has_the_jobs_of_all_its_users(store: Subject) -> None:
    own: list[AnyJob] = [
        store.finished(tenant="acme", user="1"),
        store.put(tenant="acme", user="2"),
        store.put(tenant="acme", blockers=1),
    ]
    others: list[AnyJob] = [
        store.finished(tenant="acme2", user="1"),
        store.finished(user="acme"),
        store.put(),
    ]
    which = Filter(tenant="acme")
    listed = store.driver.inspection.list(which, limit=10)
    assert [each.id for each in listed] == sorted((each.id for each in own), reverse=True)
    assert store.driver.inspection.count(which, at_most=10) == 3
    assert store.driver.inspection.count(Filter(tenant="acm"), at_most=10) == 0
    assert store.driver.dispatching.forget(which) == 1
    assert [store.is_known(each) for each in (*own, *others)] == [False, *[True] * 5]


def ended_before_is_about_finished_jobs(store: Subject) -> None:
    early, late = store.running(), store.running()
    retried = store.running()
    store.settle(
        move(early, State.COMPLETED, ended_at=100),
        move(late, State.FAILED, ended_at=200),
        move(retried, State.SCHEDULED, ended_at=50, due_at=store.clock.ahead(60)),
    )

    def ended_before(moment: int) -> set[bytes]:
        which = Filter(ended_before=moment)
        return {each.id for each in store.driver.inspection.list(which, limit=10)}

    assert ended_before(100) == set()
    assert ended_before(101) == {early.id}
    assert ended_before(201) == {early.id, late.id}


def ended_since_is_about_finished_jobs(store: Subject) -> None:
    early, late = store.running(queue="a"), store.running(queue="b", name="late")
    retried = store.running()
    store.put()
    for claimed, to in ((early, State.COMPLETED), (late, State.FAILED), (retried, State.PENDING)):
        store.clock.advance(60)
        store.settle(move(claimed, to, ended_at=store.clock()))
    ended = store.clock.ahead(-60)

    def ended_since(moment: int, **fields: object) -> set[bytes]:
        which = Filter(ended_since=moment, **fields)  # type: ignore[arg-type]  # a dict of fields
        listed = store.driver.inspection.list(which, limit=10)
        assert store.driver.inspection.count(which, at_most=10) == len(listed)
        return {each.id for each in listed}

    assert ended_since(0) == ended_since(ended - 60_000_000) == {early.id, late.id}
    assert ended_since(ended - 59_999_999) == ended_since(ended) == {late.id}
    assert ended_since(ended + 1) == set()
    assert ended_since(0, ended_before=ended) == {early.id}
    assert ended_since(0, states=(State.FAILED,)) == {late.id}
    assert ended_since(0, states=(State.COMPLETED, State.PENDING)) == {early.id}
    assert ended_since(0, queue="a") == {early.id}
    assert ended_since(0, queue="a", states=(State.FAILED,)) == set()
    assert ended_since(0, name="late") == {late.id}
    store.driver.dispatching.retry([late.id])
    assert ended_since(0) == {early.id}


def what_ended_long_ago_is_not_among_the_latest(store: Subject) -> None:
    old = [store.finished() for _ in range(5)]
    store.clock.advance(3_600)
    new = [store.running() for _ in range(5)]
    store.settle(*(move(each, State.FAILED, ended_at=store.clock()) for each in new))
    which = Filter(ended_since=store.clock.ahead(-300))
    listed = [each.id for each in store.driver.inspection.list(which, limit=3)]
    assert listed == sorted((each.id for each in new), reverse=True)[:3]
    assert store.driver.inspection.count(which, at_most=10) == 5
    assert store.driver.inspection.count(which, at_most=2) == 2
    assert store.driver.inspection.count(Filter(ended_since=0), at_most=100) == len(old + new)


def a_job_is_in_one_state_after_many_attempts(store: Subject) -> None:
    claimed = store.running()
    for _ in range(3):
        store.settle(move(claimed, State.FAILED))
        store.driver.dispatching.retry([claimed.id])
        claimed = store.claim_one()
    counts = {
        state: store.driver.inspection.count(Filter(states=(state,)), at_most=10) for state in State
    }
    assert counts == dict.fromkeys(State, 0) | {State.PROCESSING: 1}
    assert len(store.driver.inspection.list(Filter(), limit=10)) == 1


def counting_stops_at_the_cap(store: Subject) -> None:
    store.put_many(30)
    count = store.driver.inspection.count
    assert count(Filter(), at_most=10) == 10
    assert count(Filter(), at_most=30) == 30
    assert count(Filter(), at_most=1000) == 30
    assert count(Filter(queue="other"), at_most=10) == 0


def queues_tell_what_stands_in_them(store: Subject) -> None:
    assert list(store.driver.inspection.queues()) == []
    store.finished(queue="finished")
    oldest = store.clock()
    store.running(queue="b")
    store.put_many(2, queue="b")
    store.clock.advance(5)
    store.put(queue="b")
    store.put_many(3, queue="a", due_at=store.clock.ahead(60))
    store.put_many(2, queue="a", blockers=1)
    sizes = list(store.driver.inspection.queues())
    assert sizes == [
        QueueSize("a", pending=0, scheduled=3, blocked=2, processing=0, oldest_pending=None),
        QueueSize("b", pending=3, scheduled=0, blocked=0, processing=1, oldest_pending=oldest),
    ]
    assert [each.size for each in sizes] == [5, 4]


def a_backlog_is_what_is_pending_on_one_queue(store: Subject) -> None:
    backlog = store.driver.inspection.backlog
    assert backlog("b", at_most=10) == Backlog(0, None)
    store.finished(queue="b")
    store.running(queue="b")
    store.clock.advance(5)
    oldest = store.clock()
    store.put_many(2, queue="b")
    store.clock.advance(5)
    store.put(queue="b", isolation=Isolation.PROCESS, priority=9)
    store.put_many(3, queue="a")
    store.put_many(3, queue="b", due_at=store.clock.ahead(60))
    store.put_many(2, queue="b", blockers=1)
    assert backlog("b", at_most=10) == Backlog(3, oldest)
    assert backlog("a", at_most=10).pending == 3
    assert backlog("a", at_most=2).pending == 2
    assert backlog("c", at_most=2) == Backlog(0, None)


def a_job_without_a_checkpoint_has_no_cursor(store: Subject) -> None:
    cursor = store.driver.inspection.cursor
    assert [cursor(store.put().id), cursor(store.finished().id), cursor(new_id())] == [None] * 3
