"""The circuit breaker, by itself."""

from __future__ import annotations

from tabur.middleware.breaker import WHILE_TRIED, Breaker, failed, left, succeeded, tried
from tabur.middleware.shared import Holder
from tabur.model.clock import SECOND

NOW = 1_800_000_000 * SECOND
ME, YOU = Holder(b"1", b"t", "w"), Holder(b"2", b"t", "w")


def fail(breaker: Breaker | None, now: int, by: Holder = ME, limit: int = 3) -> Breaker | None:
    def pauses(times: int) -> int:
        return times * 60 * SECOND

    return failed(breaker, by, now, limit=limit, decay=10 * SECOND, pauses=pauses)


def opened() -> Breaker:
    breaker = fail(None, NOW, limit=1)
    assert breaker is not None
    return breaker


def test_it_opens_at_the_limit_within_the_span() -> None:
    breaker = fail(fail(None, NOW), NOW + SECOND)
    assert breaker is not None
    assert breaker.wait(NOW + SECOND) == 0
    later = fail(breaker, NOW + 10 * SECOND)
    assert later is not None
    assert later.wait(NOW + 10 * SECOND) == 0, "the first is too long ago by then"
    breaker = fail(breaker, NOW + 2 * SECOND)
    assert breaker is not None
    assert breaker.wait(NOW + 2 * SECOND) == 60 * SECOND


def test_a_success_in_between_counts_anew() -> None:
    breaker = succeeded(fail(fail(None, NOW), NOW + 1), YOU, NOW + 2)
    assert breaker is not None
    again = fail(breaker, NOW + 3)
    assert again is not None
    assert again.failures == (NOW + 3,)


def test_when_the_pause_is_over_one_tries_and_the_others_wait() -> None:
    breaker, then = opened(), NOW + 60 * SECOND
    assert not breaker.may_be_tried(then - 1)
    assert breaker.may_be_tried(then)
    trying = tried(breaker, ME)
    assert trying.wait(then) == WHILE_TRIED
    assert fail(trying, then + 1, by=YOU) is None, "of a run that had begun before"
    assert succeeded(trying, YOU, then + 1) is None


def test_its_success_closes_it() -> None:
    closed = succeeded(tried(opened(), ME), ME, NOW + 61 * SECOND)
    assert closed is not None
    assert closed.wait(NOW + 61 * SECOND) == 0


def test_its_failure_opens_it_again_for_longer() -> None:
    then = NOW + 61 * SECOND
    again = fail(tried(opened(), ME), then)
    assert again is not None
    assert again.wait(then) == 120 * SECOND
    assert again.tried_by is None


def test_a_trial_that_says_nothing_leaves_it_to_the_next() -> None:
    trying = tried(opened(), ME)
    after = left(trying, ME)
    assert after is not None
    assert after.tried_by is None
    assert after.may_be_tried(NOW + 61 * SECOND)
    assert left(trying, YOU) is None
    assert left(None, ME) is None


def test_while_it_is_open_others_failures_do_not_open_it_for_longer() -> None:
    assert fail(opened(), NOW + SECOND) is None
