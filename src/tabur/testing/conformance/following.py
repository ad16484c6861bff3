"""Follow-ups: what comes with a settle, in its transaction, once."""

from __future__ import annotations

from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Cancel, Dispatch, FollowUp, Settled, Unblock
from tabur.model.records import ClaimedJob
from tabur.model.states import State
from tabur.testing.conformance.subject import AnyJob, Subject, move


def the_last_unblock_makes_a_job_pending(store: Subject) -> None:
    first, second, third = store.running(), store.running(), store.running()
    waiting = store.put(blockers=3)
    _complete(store, first, Unblock(waiting.id))
    _complete(store, second, Unblock(waiting.id))
    assert store.state(waiting) is State.BLOCKED
    _complete(store, third, Unblock(waiting.id))
    assert store.state(waiting) is State.PENDING
    assert store.claim_one().id == waiting.id


def several_transitions_of_one_turn_unblock_one_job(store: Subject) -> None:
    running = [store.running() for _ in range(3)]
    waiting = store.put(blockers=3)
    follow_ups = (Unblock(waiting.id),)
    moves = [move(each, State.COMPLETED, follow_ups=follow_ups) for each in running]
    store.settle(*moves[:2])
    assert store.state(waiting) is State.BLOCKED
    store.settle(*moves)
    assert store.state(waiting) is State.PENDING


def one_settle_may_unblock_several_times(store: Subject) -> None:
    twice, once = store.put(blockers=2), store.put(blockers=1)
    _complete(store, store.running(), Unblock(twice.id), Unblock(once.id), Unblock(twice.id))
    assert (store.state(twice), store.state(once)) == (State.PENDING, State.PENDING)


def a_job_unblocked_before_its_time_is_scheduled(store: Subject) -> None:
    due_at = store.clock.ahead(60)
    waiting = store.put(blockers=1, due_at=due_at)
    _complete(store, store.running(), Unblock(waiting.id))
    assert (store.state(waiting), store.find(waiting.id).due_at) == (State.SCHEDULED, due_at)
    assert store.claim() == []
    store.clock.advance(60)
    assert store.claim_one().id == waiting.id


def a_job_unblocked_after_its_time_is_pending(store: Subject) -> None:
    waiting = store.put(blockers=1, due_at=store.clock.ahead(1))
    running = store.running()
    store.clock.advance(60)
    _complete(store, running, Unblock(waiting.id))
    assert store.claim_one().id == waiting.id


def times_are_judged_by_the_clock_of_the_store(store: Subject) -> None:
    waiting = store.put(blockers=1, due_at=store.clock.ahead(60))
    dispatched = store.new(due_at=store.clock.ahead(60))
    hour_ahead = store.clock.ahead(3600)
    running = store.running()
    store.settle(
        move(
            running,
            State.COMPLETED,
            ended_at=hour_ahead,
            follow_ups=(Unblock(waiting.id), Dispatch(dispatched)),
        )
    )
    assert store.claim() == []
    assert (store.state(waiting), store.state(dispatched)) == (State.SCHEDULED, State.SCHEDULED)


def unblocking_what_is_not_blocked_is_nothing(store: Subject) -> None:
    others: list[AnyJob] = [
        store.put(due_at=store.clock.ahead(60)),
        store.finished(),
        store.running(),
    ]
    running = store.running()
    others.append(store.put())
    before = [store.find(each.id) for each in others]
    follow_ups: list[FollowUp] = [Unblock(each.id) for each in others]
    _complete(store, running, *follow_ups, Unblock(new_id()))
    assert [store.find(each.id) for each in others] == before


def a_cancel_follow_up_ends_what_waits(store: Subject) -> None:
    waiting = [store.put(blockers=2), store.put(due_at=store.clock.ahead(60), queue="other")]
    _complete(store, store.running(), *(Cancel(each.id, "the chain failed") for each in waiting))
    for each in waiting:
        record = store.find(each.id)
        assert record.state is State.CANCELLED
        assert record.error is not None
        assert record.error.message == "the chain failed"


def a_cancel_follow_up_marks_what_runs_and_leaves_what_is_finished(store: Subject) -> None:
    done, running = store.finished(), store.running()
    follow_ups = (Cancel(done.id, "no"), Cancel(running.id, "no"), Cancel(new_id(), "no"))
    _complete(store, store.running(), *follow_ups)
    assert store.state(done) is State.COMPLETED
    record = store.find(running.id)
    assert (record.state, record.cancelling) == (State.PROCESSING, True)


def a_dispatch_follow_up_brings_jobs_in(store: Subject) -> None:
    now, later = store.new(), store.new(due_at=store.clock.ahead(60))
    blocked, known = store.new(blockers=1), store.finished()
    jobs = (now, later, blocked, store.new(id=known.id))
    _complete(store, store.running(), *(Dispatch(job) for job in jobs))
    assert [store.state(job) for job in (now, later, blocked)] == [
        State.PENDING,
        State.SCHEDULED,
        State.BLOCKED,
    ]
    assert store.state(known) is State.COMPLETED


def a_settle_that_goes_on_may_have_follow_ups(store: Subject) -> None:
    running, waiting = store.running(), store.put(blockers=1)
    extra = store.new()
    follow_ups = (Unblock(waiting.id), Dispatch(extra))
    store.settle(move(running, State.PENDING, follow_ups=follow_ups))
    assert (store.state(waiting), store.state(extra)) == (State.PENDING, State.PENDING)


def a_repeated_settle_does_not_repeat_its_follow_ups(store: Subject) -> None:
    running = store.running()
    waiting = store.put(blockers=2)
    extra = store.new()
    done = move(running, State.COMPLETED, follow_ups=(Unblock(waiting.id), Dispatch(extra)))
    assert store.settle(done, done) == [Settled.DONE, Settled.DONE]
    assert store.settle(done) == [Settled.DONE]
    assert store.state(waiting) is State.BLOCKED
    claimed = store.claim_one()
    assert claimed.id == extra.id
    store.settle(move(claimed, State.COMPLETED))
    store.settle(done)
    assert (store.state(extra), store.claim()) == (State.COMPLETED, [])


def a_refused_settle_has_no_follow_ups(store: Subject) -> None:
    running = store.running()
    waiting, victim, extra = store.put(blockers=1), store.put(queue="other"), store.new()
    follow_ups = (Unblock(waiting.id), Cancel(victim.id, "no"), Dispatch(extra))
    stale = move(running, State.COMPLETED, token=new_token(), follow_ups=follow_ups)
    unknown = move(running, State.COMPLETED, id=new_id(), follow_ups=follow_ups)
    assert store.settle(stale, unknown) == [Settled.STALE, Settled.UNKNOWN]
    assert (store.state(waiting), store.state(victim)) == (State.BLOCKED, State.PENDING)
    assert not store.is_known(extra)


def one_turn_may_claim_what_it_has_unblocked(store: Subject) -> None:
    running, waiting = store.running(), store.put(blockers=1)
    extra = store.new()
    follow_ups = (Unblock(waiting.id), Dispatch(extra))
    claimed = store.claim(settle=[move(running, State.COMPLETED, follow_ups=follow_ups)])
    assert {each.id for each in claimed} == {waiting.id, extra.id}


def _complete(store: Subject, claimed: ClaimedJob, *follow_ups: FollowUp) -> None:
    done = move(claimed, State.COMPLETED, follow_ups=follow_ups)
    assert store.settle(done) == [Settled.DONE]
