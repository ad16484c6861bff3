"""What follows from the end of a run: every case of it, and what holds whatever the case."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.model.decide import CRASHES_UNTIL_POISON, decide
from tabur.model.outcome import Ended, Ending, Outcome, Transition
from tabur.model.records import ClaimedJob, ErrorInfo, Progress
from tabur.model.retry import Exponential, Policy
from tabur.model.states import FINISHED, Isolation, State, allowed

NOW = 1_750_000_000_000_000
SECOND = 1_000_000
ERROR = ErrorInfo("ValueError", "no such shop")


def claimed(attempts: int = 0, exceptions: int = 0, crashes: int = 0) -> ClaimedJob:
    return ClaimedJob(
        id=b"i" * 16,
        name="import",
        queue="default",
        isolation=Isolation.THREAD,
        payload=b"{}",
        created_at=NOW,
        attempts=attempts,
        exceptions=exceptions,
        crashes=crashes,
        token=b"t" * 16,
    )


def decided(job: ClaimedJob, policy: Policy, ended: Ended, **outcome: Any) -> Transition:
    if ended in _WITH_ERROR:
        outcome = {"error": ERROR} | outcome
    return decide(
        job,
        policy,
        Outcome(ended, started_at=NOW - 5, ended_at=NOW, **outcome),
        worker="w1",
        now=NOW,
        random=0.5,
    )


_WITH_ERROR = frozenset(Ended) - {
    Ended.COMPLETED,
    Ended.RELEASED,
    Ended.CANCELLED,
    Ended.HANDED_BACK,
}

ONCE, TWICE, FOR_EVER = Policy(), Policy(tries=2), Policy(tries=0)
LATER = Policy(tries=2, backoff=30.0)
UNTIL_LATER = Policy(tries=1, retry_until=NOW + 1)
UNTIL_NOW = Policy(tries=9, retry_until=NOW)
STRICT = Policy(tries=9, fail_on_timeout=True)
ONE_EXCEPTION = Policy(tries=9, max_exceptions=1)
TWO_EXCEPTIONS = Policy(tries=9, max_exceptions=2)
S, E = State, Ending
FAILED = (S.FAILED, E.FAILED)

# After a first run: policy, how it ended, then where it goes and what is remembered, and what is
# counted: attempts, exceptions.
FIRST_RUN: list[tuple[Policy, Ended, State, Ending | None, int, int]] = [
    (ONCE, Ended.COMPLETED, S.COMPLETED, E.COMPLETED, 1, 0),
    (ONCE, Ended.RAISED, *FAILED, 1, 1),
    (ONCE, Ended.TIMED_OUT, *FAILED, 1, 1),
    (ONCE, Ended.RELEASED, *FAILED, 1, 0),
    (ONCE, Ended.GAVE_UP, *FAILED, 1, 0),
    (ONCE, Ended.CANCELLED, S.CANCELLED, E.CANCELLED, 1, 0),
    (ONCE, Ended.HANDED_BACK, S.PENDING, None, 0, 0),
    (ONCE, Ended.REJECTED, *FAILED, 0, 0),
    (ONCE, Ended.EXPIRED, *FAILED, 0, 0),
    (ONCE, Ended.CRASHED, S.PENDING, E.CRASHED, 0, 0),
    (TWICE, Ended.RAISED, S.PENDING, E.RETRIED, 1, 1),
    (TWICE, Ended.TIMED_OUT, S.PENDING, E.RETRIED, 1, 1),
    (TWICE, Ended.RELEASED, S.PENDING, E.RELEASED, 1, 0),
    (TWICE, Ended.GAVE_UP, *FAILED, 1, 0),
    (TWICE, Ended.REJECTED, *FAILED, 0, 0),
    (TWICE, Ended.EXPIRED, *FAILED, 0, 0),
    (FOR_EVER, Ended.RAISED, S.PENDING, E.RETRIED, 1, 1),
    (FOR_EVER, Ended.RELEASED, S.PENDING, E.RELEASED, 1, 0),
    (LATER, Ended.RAISED, S.SCHEDULED, E.RETRIED, 1, 1),
    (LATER, Ended.TIMED_OUT, S.SCHEDULED, E.RETRIED, 1, 1),
    (LATER, Ended.RELEASED, S.PENDING, E.RELEASED, 1, 0),
    (LATER, Ended.HANDED_BACK, S.PENDING, None, 0, 0),
    (LATER, Ended.COMPLETED, S.COMPLETED, E.COMPLETED, 1, 0),
    (UNTIL_LATER, Ended.RAISED, S.PENDING, E.RETRIED, 1, 1),
    (UNTIL_LATER, Ended.RELEASED, S.PENDING, E.RELEASED, 1, 0),
    (UNTIL_NOW, Ended.RAISED, *FAILED, 1, 1),
    (UNTIL_NOW, Ended.RELEASED, *FAILED, 1, 0),
    (STRICT, Ended.TIMED_OUT, *FAILED, 1, 1),
    (STRICT, Ended.RAISED, S.PENDING, E.RETRIED, 1, 1),
    (ONE_EXCEPTION, Ended.RAISED, *FAILED, 1, 1),
    (ONE_EXCEPTION, Ended.TIMED_OUT, *FAILED, 1, 1),
    (ONE_EXCEPTION, Ended.RELEASED, S.PENDING, E.RELEASED, 1, 0),
    (TWO_EXCEPTIONS, Ended.RAISED, S.PENDING, E.RETRIED, 1, 1),
]


@pytest.mark.parametrize("case", FIRST_RUN)
def test_after_a_first_run(case: tuple[Policy, Ended, State, Ending | None, int, int]) -> None:
    policy, ended, *expected = case
    move = decided(claimed(), policy, ended)
    assert [move.to, move.ending, move.attempts, move.exceptions] == expected


def test_the_table_has_every_way_to_end() -> None:
    assert {row[1] for row in FIRST_RUN} == set(Ended)


def test_the_last_try_is_the_last() -> None:
    assert decided(claimed(attempts=1), Policy(tries=3), Ended.RAISED).to is State.PENDING
    assert decided(claimed(attempts=2), Policy(tries=3), Ended.RAISED).to is State.FAILED
    assert decided(claimed(attempts=2), Policy(tries=3), Ended.RELEASED).to is State.FAILED


def test_exceptions_count_apart_from_attempts() -> None:
    job = claimed(attempts=5, exceptions=1)
    assert decided(job, Policy(tries=9, max_exceptions=2), Ended.RAISED).to is State.FAILED
    assert decided(job, Policy(tries=9, max_exceptions=3), Ended.RAISED).to is State.PENDING


def test_the_third_crash_is_poison() -> None:
    endings = [decided(claimed(crashes=n), Policy(tries=9), Ended.CRASHED) for n in range(3)]
    assert [(each.to, each.crashes) for each in endings] == [
        (State.PENDING, 1),
        (State.PENDING, 2),
        (State.FAILED, 3),
    ]
    assert CRASHES_UNTIL_POISON == 3


def test_what_is_refused_as_poison_has_not_crashed_once_more() -> None:
    refused = Outcome(Ended.CRASHED, started_at=None, ended_at=NOW, error=ERROR)
    move = decide(claimed(crashes=3), TWICE, refused, worker="w1", now=NOW, random=0.5)
    assert (move.to, move.crashes) == (State.FAILED, 3)


def test_a_permanent_error_is_not_tried_again() -> None:
    assert decided(claimed(), FOR_EVER, Ended.RAISED, permanent=True).to is State.FAILED


def test_a_release_waits_as_long_as_it_asked() -> None:
    move = decided(claimed(), TWICE, Ended.RELEASED, delay=7 * SECOND)
    assert (move.to, move.due_at) == (State.SCHEDULED, NOW + 7 * SECOND)


def test_a_retry_waits_for_the_longer_of_backoff_and_delay() -> None:
    short = decided(claimed(), LATER, Ended.RAISED, delay=7 * SECOND)
    long = decided(claimed(), LATER, Ended.RAISED, delay=70 * SECOND)
    assert (short.due_at, long.due_at) == (NOW + 30 * SECOND, NOW + 70 * SECOND)


def test_a_job_that_released_itself_too_often_says_so() -> None:
    move = decided(claimed(attempts=2), Policy(tries=3), Ended.RELEASED)
    assert move.error is not None
    assert move.error.type == "TooManyAttempts"
    assert "3 times" in move.error.message


def test_what_the_run_left_is_passed_on() -> None:
    outcome = Outcome(Ended.COMPLETED, started_at=1, ended_at=2, result=b"[1]")
    done = Progress(done=3)
    move = decide(claimed(), ONCE, outcome, worker="w9", now=NOW, random=0.0, progress=done)
    assert (move.id, move.token, move.worker) == (b"i" * 16, b"t" * 16, "w9")
    assert (move.started_at, move.ended_at, move.result, move.progress) == (1, 2, b"[1]", done)


seconds = st.floats(0, 3600)
backoffs = st.one_of(
    seconds,
    st.lists(seconds, min_size=1, max_size=5).map(tuple),
    st.builds(Exponential, base=seconds, cap=seconds, jitter=st.booleans()),
)
policies = st.builds(
    Policy,
    tries=st.integers(0, 20),
    backoff=backoffs,
    max_exceptions=st.none() | st.integers(1, 20),
    retry_until=st.none() | st.integers(NOW - SECOND, NOW + SECOND),
    fail_on_timeout=st.booleans(),
)
outcomes = st.builds(
    Outcome,
    ended=st.sampled_from(Ended),
    started_at=st.none() | st.just(NOW),
    ended_at=st.just(NOW),
    error=st.just(ERROR),
    delay=st.integers(0, 90 * SECOND),
    permanent=st.booleans(),
)
randoms = st.floats(0, 1, exclude_max=True)


@given(policy=policies, outcome=outcomes, random=randoms, data=st.data())
def test_whatever_ends_however(
    policy: Policy, outcome: Outcome, random: float, data: st.DataObject
) -> None:
    most = policy.tries - 1 if policy.tries else 30
    job = claimed(
        attempts=data.draw(st.integers(0, most)),
        exceptions=data.draw(st.integers(0, 10)),
        crashes=data.draw(st.integers(0, CRASHES_UNTIL_POISON - 1)),
    )
    move = decide(job, policy, outcome, worker="w1", now=NOW, random=random)
    assert allowed(State.PROCESSING, move.to)
    # what ends has an ending, and only a scheduled one has a time, which lies ahead
    assert (move.ending is None) == (outcome.ended is Ended.HANDED_BACK)
    assert (move.due_at is not None) == (move.to is State.SCHEDULED)
    assert move.due_at is None or move.due_at > NOW
    if move.to in FINISHED:
        assert str(move.ending) == str(move.to)
    # one run is at most one attempt and one exception; nothing ever counts down
    assert 0 <= move.attempts - job.attempts <= 1
    assert 0 <= move.exceptions - job.exceptions <= move.attempts - job.attempts
    assert move.crashes - job.crashes == (outcome.ended is Ended.CRASHED)
    # what never started, and what crashed, is not charged
    if outcome.ended in {Ended.HANDED_BACK, Ended.CRASHED, Ended.REJECTED, Ended.EXPIRED}:
        assert move.attempts == job.attempts
    # nothing is tried more often than it may be
    if policy.tries and policy.retry_until is None:
        assert move.attempts <= policy.tries
        if move.to not in FINISHED:
            assert move.attempts < policy.tries
    if outcome.ended is Ended.RAISED and outcome.permanent:
        assert move.to is State.FAILED
    if move.to is State.FAILED:
        assert move.error is not None


@given(policy=policies, random=randoms)
def test_every_job_that_always_fails_comes_to_its_end(policy: Policy, random: float) -> None:
    job = claimed()
    for _ in range(25):
        outcome = Outcome(Ended.RAISED, started_at=NOW, ended_at=NOW, error=ERROR)
        move = decide(job, policy, outcome, worker="w1", now=NOW, random=random)
        if move.to in FINISHED:
            return
        job = claimed(move.attempts, move.exceptions, move.crashes)
    unlimited = policy.tries == 0 or (policy.retry_until or 0) > NOW
    assert unlimited
    assert policy.max_exceptions is None


@given(policy=policies, random=randoms, delay=st.integers(0, 90 * SECOND))
def test_a_retry_comes_within_the_policys_time(policy: Policy, random: float, delay: int) -> None:
    outcome = Outcome(Ended.RAISED, started_at=NOW, ended_at=NOW, error=ERROR, delay=delay)
    move = decide(claimed(), policy, outcome, worker="w1", now=NOW, random=random)
    if move.to is not State.SCHEDULED:
        return
    assert move.due_at is not None
    longest: float
    match policy.backoff:
        case Exponential():
            longest = min(policy.backoff.base, policy.backoff.cap)
        case tuple():
            longest = policy.backoff[0]
        case _:
            longest = policy.backoff
    assert delay <= move.due_at - NOW <= max(delay, longest * SECOND)


def test_what_was_cancelled_before_it_began_has_spent_no_attempt() -> None:
    outcome = Outcome(Ended.CANCELLED, started_at=None, ended_at=NOW)
    move = decide(claimed(2), ONCE, outcome, worker="w1", now=NOW, random=0.5)
    assert (move.to, move.attempts) == (State.CANCELLED, 2)
