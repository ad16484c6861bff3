"""Releases: answers that were lost, workers that died."""

from __future__ import annotations

from tabur.drivers.contract import CancelAnswer
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Ending, Settled, Unblock
from tabur.model.records import Attempt, Crash
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import ALL_SLOTS, CRASH, Subject, move

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
    assert store.driver.claiming.release_worker("w1", crash=CRASH) == 0
    record = store.find(claimed.id)
    assert (record.state, record.worker, record.crashes) == (State.PROCESSING, "w2", 0)
    assert store.settle(move(again, State.COMPLETED)) == [Settled.DONE]


def a_stopped_workers_jobs_are_released_uncharged(store: Subject) -> None:
    store.put_many(2)
    store.put(isolation=LOOP)
    claimed = {each.id: each for each in store.claim()}
    assert store.driver.claiming.release_worker("w1") == 3
    assert store.driver.claiming.release_worker("w1") == 0
    again = store.claim(worker="w2")
    assert {each.id for each in again} == set(claimed)
    for each in again:
        assert (each.attempts, each.exceptions, each.crashes) == (0, 0, 0)
        assert each.isolation is claimed[each.id].isolation


def a_dead_workers_jobs_have_their_crashes_counted(store: Subject) -> None:
    store.put_many(2)
    store.put(isolation=LOOP)
    store.claim()
    assert store.driver.claiming.release_worker("w1", crash=CRASH) == 3
    assert store.claim(slots={LOOP: 9, THREAD: 9}) == []
    again = store.claim(slots={PROCESS: 9})
    assert len(again) == 3
    for each in again:
        assert (each.attempts, each.exceptions, each.crashes) == (0, 0, 1)
        assert each.isolation is PROCESS
        assert store.find(each.id).crashes == 1
    store.driver.claiming.release_worker("w1", crash=CRASH)
    assert {each.crashes for each in store.claim()} == {2}


def a_crash_spends_no_attempt_and_is_kept_with_its_reason(store: Subject) -> None:
    store.settle(move(store.running(), State.PENDING, exceptions=1))
    since = store.clock()
    store.claim()
    store.clock.advance(5)
    store.driver.claiming.release_worker("w1", crash=CRASH)
    again = store.claim_one()
    assert (again.attempts, again.exceptions, again.crashes) == (1, 1, 1)
    _, crashed = store.driver.inspection.attempts(again.id)
    assert crashed == Attempt(
        attempt=1,
        ending=Ending.CRASHED,
        started_at=since,
        ended_at=store.clock(),
        worker="w1",
        error=CRASH.error,
    )


def a_crash_is_told_until_the_next_end(store: Subject) -> None:
    job = store.put()
    store.claim()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    record = store.find(job.id)
    assert (record.state, record.worker, record.error) == (State.PENDING, "w1", CRASH.error)
    assert store.settle(move(store.claim_one(), State.COMPLETED)) == [Settled.DONE]
    record = store.find(job.id)
    assert (record.state, record.error) == (State.COMPLETED, None)
    endings = [each.ending for each in store.driver.inspection.attempts(job.id)]
    assert endings == [Ending.CRASHED, Ending.COMPLETED]


def only_those_that_a_crash_blames_are_charged_with_it(store: Subject) -> None:
    to_blame, beside = store.running(), store.running()
    unheld = store.put()
    blamed = frozenset({to_blame.id, unheld.id, new_id()})
    crash = Crash(CRASH.error, blamed)
    assert store.driver.claiming.release_worker("w1", crash=crash) == 2
    crashes = {each.id: each.crashes for each in store.claim()}
    assert crashes == {to_blame.id: 1, beside.id: 0, unheld.id: 0}
    history = store.driver.inspection.attempts
    assert [len(history(each.id)) for each in (to_blame, beside, unheld)] == [1, 0, 0]


def a_crash_that_blames_nothing_leaves_no_trace(store: Subject) -> None:
    loop = store.running(isolation=LOOP)
    crash = Crash(CRASH.error, frozenset())
    assert store.driver.claiming.release_worker("w1", crash=crash) == 1
    again = store.claim_one()
    assert (again.id, again.crashes, again.isolation) == (loop.id, 0, LOOP)
    assert list(store.driver.inspection.attempts(loop.id)) == []


def a_settle_that_comes_after_the_crash_is_stale(store: Subject) -> None:
    claimed = store.running()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    late = move(claimed, State.COMPLETED)
    assert store.settle(late) == [Settled.STALE]
    again = store.claim_one()
    assert store.settle(late) == [Settled.STALE]
    assert store.settle(move(again, State.COMPLETED)) == [Settled.DONE]
    assert store.settle(late) == [Settled.STALE]
    assert len(store.driver.inspection.attempts(claimed.id)) == 2


def a_crash_that_was_settled_is_settled_when_it_comes_again(store: Subject) -> None:
    """A job's own process died, and not its worker's."""
    crashed = {"ending": Ending.CRASHED, "attempts": 0, "crashes": 1, "error": CRASH.error}
    died = move(store.running(), State.PENDING, **crashed)
    assert store.settle(died) == [Settled.DONE]
    assert store.settle(died) == [Settled.DONE]
    assert [each.ending for each in store.driver.inspection.attempts(died.id)] == [Ending.CRASHED]
    again = store.claim_one()
    assert (again.attempts, again.crashes, again.isolation) == (0, 1, PROCESS)
    assert store.settle(died) == [Settled.DONE]


def another_workers_jobs_are_not_released(store: Subject) -> None:
    mine = store.running()
    store.put()
    other = store.claim_one(worker="w2")
    assert store.driver.claiming.release_worker("w1", crash=CRASH) == 1
    assert (store.state(mine), store.state(other)) == (State.PENDING, State.PROCESSING)
    assert store.find(other.id).crashes == 0


def released_jobs_go_back_to_their_place(store: Subject) -> None:
    first = store.running()
    second = store.put()
    store.driver.claiming.release_worker("w1")
    assert [each.id for each in store.claim()] == [first.id, second.id]


def what_was_marked_is_cancelled_when_released(store: Subject) -> None:
    crashed, released, lost = store.running(), store.running(), store.running()
    for each in (crashed, released, lost):
        assert store.driver.dispatching.cancel(each.id) is CancelAnswer.CANCELLING
    store.driver.claiming.release_token(lost.token)
    store.driver.claiming.release_token(released.token)
    store.driver.claiming.release_worker("w1", crash=CRASH)
    for each in (crashed, released, lost):
        record = store.find(each.id)
        assert (record.state, record.cancelling) == (State.CANCELLED, False)
    endings = [each.ending for each in store.driver.inspection.attempts(crashed.id)]
    assert endings == [Ending.CRASHED, Ending.CANCELLED]
    assert store.claim() == []
    assert store.driver.claiming.release_worker("w1", crash=CRASH) == 0
