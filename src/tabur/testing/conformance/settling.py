"""Settling: the token decides, an answer for each, repeated at will."""

from __future__ import annotations

import msgspec

from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Ending, Settled
from tabur.model.records import Attempt, ErrorInfo, Progress
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import CRASH, Subject, hand_back, move


def completed_keeps_the_result(store: Subject) -> None:
    claimed = store.running()
    done = move(claimed, State.COMPLETED, result=b'{"n":1}', started_at=11, ended_at=22)
    assert store.settle(done) == [Settled.DONE]
    record = store.find(claimed.id)
    assert (record.state, record.result, record.attempts) == (State.COMPLETED, b'{"n":1}', 1)
    assert (record.started_at, record.ended_at, record.worker) == (11, 22, "w1")
    assert (record.claimed_at, record.error) == (None, None)


def failed_keeps_the_error(store: Subject) -> None:
    claimed = store.running()
    error = ErrorInfo("ValueError", "no such shop", "Traceback …")
    assert store.settle(move(claimed, State.FAILED, error=error)) == [Settled.DONE]
    record = store.find(claimed.id)
    assert (record.state, record.error, record.result) == (State.FAILED, error, None)


def cancelled_is_an_end(store: Subject) -> None:
    claimed = store.finished(State.CANCELLED)
    assert store.state(claimed) is State.CANCELLED
    assert store.claim() == []


def a_retried_job_runs_again_with_its_counters(store: Subject) -> None:
    claimed = store.running()
    store.settle(move(claimed, State.PENDING, attempts=1, exceptions=1))
    assert (store.state(claimed), store.find(claimed.id).attempts) == (State.PENDING, 1)
    again = store.claim_one()
    assert (again.id, again.attempts, again.exceptions) == (claimed.id, 1, 1)
    assert again.token != claimed.token


def a_job_retried_with_a_delay_waits_for_its_time(store: Subject) -> None:
    claimed = store.running()
    due_at = store.clock.ahead(30)
    store.settle(move(claimed, State.SCHEDULED, due_at=due_at))
    record = store.find(claimed.id)
    assert (record.state, record.due_at, record.worker) == (State.SCHEDULED, due_at, "w1")
    assert store.claim() == []
    store.clock.advance(30)
    assert store.claim_one().attempts == 1


def a_handed_back_job_loses_nothing(store: Subject) -> None:
    claimed = store.running()
    assert store.settle(hand_back(claimed)) == [Settled.DONE]
    assert store.state(claimed) is State.PENDING
    assert store.driver.inspection.attempts(claimed.id) == []
    again = store.claim_one()
    assert (again.attempts, again.exceptions, again.crashes) == (0, 0, 0)


def a_repeated_hand_back_changes_nothing(store: Subject) -> None:
    claimed = store.running()
    store.settle(hand_back(claimed))
    assert store.settle(hand_back(claimed)) == [Settled.STALE]
    again = store.claim_one()
    assert store.settle(hand_back(claimed)) == [Settled.STALE]
    assert store.settle(move(again, State.COMPLETED)) == [Settled.DONE]


def a_repeated_settle_answers_done_and_changes_nothing(store: Subject) -> None:
    for to in (State.COMPLETED, State.FAILED, State.CANCELLED, State.PENDING):
        claimed = store.running(queue=f"queue-{to}")
        once = move(claimed, to, result=b"1")
        assert store.settle(once) == [Settled.DONE]
        before = store.find(claimed.id)
        assert store.settle(once, once) == [Settled.DONE, Settled.DONE]
        assert store.find(claimed.id) == before
        assert len(store.driver.inspection.attempts(claimed.id)) == 1


def the_same_settle_twice_in_one_turn_is_one(store: Subject) -> None:
    claimed, other = store.running(), store.running()
    done = move(claimed, State.COMPLETED)
    answers = store.settle(done, move(other, State.COMPLETED), done)
    assert answers == [Settled.DONE] * 3
    assert len(store.driver.inspection.attempts(claimed.id)) == 1


def a_repeated_settle_is_known_after_the_job_has_moved_on(store: Subject) -> None:
    claimed = store.running()
    once = move(claimed, State.PENDING)
    store.settle(once)
    again = store.claim_one()
    assert store.settle(once) == [Settled.DONE]
    assert store.state(again) is State.PROCESSING
    store.settle(move(again, State.FAILED))
    store.driver.dispatching.retry([claimed.id])
    assert store.settle(once, move(again, State.FAILED)) == [Settled.DONE, Settled.DONE]
    assert store.state(claimed) is State.PENDING


def another_token_is_stale_and_changes_nothing(store: Subject) -> None:
    claimed = store.running()
    before = store.find(claimed.id)
    late = msgspec.structs.replace(
        move(claimed, State.COMPLETED, result=b"9", progress=Progress(done=9)), token=new_token()
    )
    assert store.settle(late) == [Settled.STALE]
    assert store.find(claimed.id) == before
    assert store.driver.inspection.attempts(claimed.id) == []


def a_late_settle_is_stale_in_every_state(store: Subject) -> None:
    lost = store.running()
    store.driver.claiming.release_worker("w1")
    late = move(lost, State.COMPLETED, result=b"late")
    assert store.settle(late) == [Settled.STALE]
    assert store.state(lost) is State.PENDING
    again = store.claim_one(worker="w2")
    assert store.settle(late) == [Settled.STALE]
    assert store.find(lost.id).worker == "w2"
    store.settle(move(again, State.SCHEDULED, due_at=store.clock.ahead(60), worker="w2"))
    assert store.settle(late) == [Settled.STALE]
    store.clock.advance(60)
    store.settle(move(store.claim_one(worker="w2"), State.FAILED, worker="w2"))
    assert store.settle(late) == [Settled.STALE]
    record = store.find(lost.id)
    assert (record.state, record.result) == (State.FAILED, None)


def an_unknown_job_is_unknown(store: Subject) -> None:
    claimed = store.running()
    other = msgspec.structs.replace(move(claimed, State.COMPLETED), id=new_id())
    assert store.settle(other) == [Settled.UNKNOWN]


def answers_come_in_the_order_of_the_transitions(store: Subject) -> None:
    done, retried, failed = store.running(), store.running(), store.running()
    gone = store.finished()
    store.driver.dispatching.forget_one(gone.id)
    repeated = store.finished()
    lost = store.running()
    store.driver.claiming.release_token(lost.token)
    answers = store.settle(
        move(gone, State.COMPLETED),
        move(done, State.COMPLETED),
        move(lost, State.COMPLETED),
        move(retried, State.PENDING),
        move(repeated, State.COMPLETED),
        move(failed, State.FAILED),
    )
    assert answers == [
        Settled.UNKNOWN,
        Settled.DONE,
        Settled.STALE,
        Settled.DONE,
        Settled.DONE,
        Settled.DONE,
    ]
    states = [store.state(each) for each in (done, lost, retried, failed)]
    assert states == [State.COMPLETED, State.PENDING, State.PENDING, State.FAILED]


def one_bad_transition_does_not_fail_its_neighbours(store: Subject) -> None:
    bad_ones = (
        {"error": ErrorInfo("Odd", "a lone surrogate \ud800")},
        {"progress": Progress(done=2**70)},
        {"progress": Progress(message="\ud800")},
        {"ended_at": 2**70},
        {"attempts": 2**70},
    )
    for changes in bad_ones:
        before, bad, after = store.running(), store.running(), store.running()
        answers = store.settle(
            move(before, State.COMPLETED),
            move(bad, State.FAILED, **changes),
            move(after, State.COMPLETED),
        )
        assert (answers[0], answers[2]) == (Settled.DONE, Settled.DONE), changes
        assert (store.state(before), store.state(after)) == (State.COMPLETED, State.COMPLETED)
        assert store.state(bad) is State.FAILED, changes


def a_settle_that_counts_a_crash_sets_the_job_apart(store: Subject) -> None:
    claimed = store.running()
    store.settle(move(claimed, State.PENDING, attempts=0, crashes=1))
    again = store.claim_one()
    assert (again.isolation, again.crashes, again.attempts) == (Isolation.PROCESS, 1, 0)


def a_crashed_job_stays_apart_until_it_ends(store: Subject) -> None:
    store.put(isolation=Isolation.LOOP)
    store.claim()
    store.driver.claiming.release_worker("w1", crash=CRASH)
    claimed = store.claim_one()
    store.settle(move(claimed, State.PENDING))
    again = store.claim_one()
    assert (again.isolation, again.crashes, again.attempts) == (Isolation.PROCESS, 1, 1)


def history_tells_of_every_ended_attempt(store: Subject) -> None:
    claimed = store.running()
    error = ErrorInfo("E", "no")
    store.settle(move(claimed, State.PENDING, started_at=1, ended_at=2, error=error))
    again = store.claim_one(worker="w2")
    store.settle(
        move(
            again,
            State.PENDING,
            ending=Ending.RELEASED,
            worker="w2",
            started_at=3,
            ended_at=4,
        )
    )
    store.settle(move(store.claim_one(), State.COMPLETED, started_at=5, ended_at=6))
    assert list(store.driver.inspection.attempts(claimed.id)) == [
        Attempt(1, Ending.RETRIED, 1, 2, "w1", error),
        Attempt(2, Ending.RELEASED, 3, 4, "w2", None),
        Attempt(3, Ending.COMPLETED, 5, 6, "w1", None),
    ]
