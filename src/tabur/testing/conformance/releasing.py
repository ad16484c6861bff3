"""Releases: answers that were lost, workers that died."""

from __future__ import annotations

from tabur.drivers.contract import CancelAnswer
from tabur.model.ids import new_token
from tabur.model.outcome import Settled, Unblock
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import ALL_SLOTS, Subject, move

LOOP, THREAD, PROCESS = Isolation.LOOP, Isolation.THREAD, Isolation.PROCESS


def a_claim_whose_answer_was_lost_is_released_uncharged(store: Subject) -> None:
    jobs = store.put_many(3)
    lost = new_token()
    store.claim(token=lost)  # the answer never arrives
    assert store.claim() == []
    assert store.driver.claiming.release_token(lost) == 3
    assert store.driver.claiming.release_token(lost) == 0
    again = store.claim()
    assert [each.id for each in again] == [job.id for job in jobs]
    assert {(each.attempts, each.exceptions, each.crashes) for each in again} == {(0, 0, 0)}
    assert store.driver.inspection.attempts(jobs[0].id) == []


def a_turn_whose_answer_was_lost_may_be_repeated(store: Subject) -> None:
    ended, retried = store.running(), store.running()
    waiting = store.put(blockers=2)
    pending = store.put()
    moves = [
        move(ended, State.COMPLETED, follow_ups=(Unblock(waiting.id),)),
        move(retried, State.SCHEDULED, due_at=store.clock.ahead(60)),
    ]
    lost = new_token()
    store.claim(token=lost, settle=moves)  # the answer never arrives
    store.driver.claiming.release_token(lost)
    turn = store.turn(settle=moves, token=new_token(), queues=("default",), slots=ALL_SLOTS)
    assert list(turn.settled) == [Settled.DONE, Settled.DONE]
    assert [each.id for each in turn.claimed] == [pending.id]
    assert store.state(waiting) is State.BLOCKED
    assert store.find(retried.id).attempts == 1


def a_turn_that_never_arrived_may_be_repeated(store: Subject) -> None:
    ended = store.running()
    assert store.driver.claiming.release_token(new_token()) == 0
    assert store.settle(move(ended, State.COMPLETED)) == [Settled.DONE]


def releasing_a_token_leaves_the_workers_other_claims(store: Subject) -> None:
    first = store.running()
    second = store.running()
    assert store.driver.claiming.release_token(first.token) == 1
    assert (store.state(first), store.state(second)) == (State.PENDING, State.PROCESSING)
    assert store.settle(move(second, State.COMPLETED)) == [Settled.DONE]
    assert store.driver.claiming.release_token(second.token) == 0
    assert store.state(second) is State.COMPLETED


def what_was_released_is_closed_to_its_old_token(store: Subject) -> None:
    claimed = store.running()
    store.driver.claiming.release_token(claimed.token)
    assert store.settle(move(claimed, State.COMPLETED)) == [Settled.STALE]
    again = store.claim_one(worker="w2")
    assert store.settle(move(claimed, State.COMPLETED)) == [Settled.STALE]
    assert store.driver.claiming.release_token(claimed.token) == 0
    assert store.driver.claiming.release_worker("w1", crashed=True) == 0
    record = store.find(claimed.id)
    assert (record.state, record.worker, record.crashes) == (State.PROCESSING, "w2", 0)
    assert store.settle(move(again, State.COMPLETED)) == [Settled.DONE]


def a_stopped_workers_jobs_are_released_uncharged(store: Subject) -> None:
    store.put_many(2)
    store.put(isolation=LOOP)
    claimed = {each.id: each for each in store.claim()}
    assert store.driver.claiming.release_worker("w1", crashed=False) == 3
    assert store.driver.claiming.release_worker("w1", crashed=False) == 0
    again = store.claim(worker="w2")
    assert {each.id for each in again} == set(claimed)
    for each in again:
        assert (each.attempts, each.exceptions, each.crashes) == (0, 0, 0)
        assert each.isolation is claimed[each.id].isolation


def a_dead_workers_jobs_have_their_crashes_counted(store: Subject) -> None:
    store.put_many(2)
    store.put(isolation=LOOP)
    store.claim()
    assert store.driver.claiming.release_worker("w1", crashed=True) == 3
    assert store.claim(slots={LOOP: 9, THREAD: 9}) == []
    again = store.claim(slots={PROCESS: 9})
    assert len(again) == 3
    for each in again:
        assert (each.attempts, each.exceptions, each.crashes) == (0, 0, 1)
        assert each.isolation is PROCESS
        assert store.find(each.id).crashes == 1
    store.driver.claiming.release_worker("w1", crashed=True)
    assert {each.crashes for each in store.claim()} == {2}


def a_crash_leaves_the_attempts_as_they_were(store: Subject) -> None:
    store.settle(move(store.running(), State.PENDING, exceptions=1))
    store.claim()
    store.driver.claiming.release_worker("w1", crashed=True)
    again = store.claim_one()
    assert (again.attempts, again.exceptions, again.crashes) == (1, 1, 1)
    assert len(store.driver.inspection.attempts(again.id)) == 1


def another_workers_jobs_are_not_released(store: Subject) -> None:
    mine = store.running()
    store.put()
    other = store.claim_one(worker="w2")
    assert store.driver.claiming.release_worker("w1", crashed=True) == 1
    assert (store.state(mine), store.state(other)) == (State.PENDING, State.PROCESSING)
    assert store.find(other.id).crashes == 0


def released_jobs_go_back_to_their_place(store: Subject) -> None:
    first = store.running()
    second = store.put()
    store.driver.claiming.release_worker("w1", crashed=False)
    assert [each.id for each in store.claim()] == [first.id, second.id]


def what_was_marked_is_cancelled_when_released(store: Subject) -> None:
    crashed, released, lost = store.running(), store.running(), store.running()
    for each in (crashed, released, lost):
        assert store.driver.dispatching.cancel(each.id) is CancelAnswer.CANCELLING
    store.driver.claiming.release_token(lost.token)
    store.driver.claiming.release_token(released.token)
    store.driver.claiming.release_worker("w1", crashed=True)
    for each in (crashed, released, lost):
        record = store.find(each.id)
        assert (record.state, record.cancelling) == (State.CANCELLED, False)
    assert store.claim() == []
    assert store.driver.claiming.release_worker("w1", crashed=True) == 0
