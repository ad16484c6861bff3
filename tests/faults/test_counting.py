"""The count finds each kind of wrong: what it cannot find, no fault test can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from chaos.counting import SECOND, Count, Pace
from chaos.ledger import (
    ACCEPTED,
    CLAIMED,
    DECLINED,
    DONE,
    ENDED,
    RAISED,
    REFUSED,
    STARTED,
    UNANSWERED,
    UNCLEAR,
    UNKNOWN,
    Dispatch,
    Effect,
    Move,
)
from chaos.runs import claims_of, late_and_accepted

A, B = b"a" * 16, b"b" * 16


def ran(number: int, *, token: bytes = A, attempt: int = 1, at: int = 0) -> list[Effect]:
    """An attempt that came to its end."""
    return [
        Effect(what, number, attempt, pid=7, at=at + what, token=token) for what in (STARTED, ENDED)
    ]


def said(verdict: str, first: int, jobs: int = 1, *, error: str = "", tries: int = 1) -> Dispatch:
    return Dispatch(first, jobs, "plain", verdict, error, at=0, took=SECOND, tries=tries)


def wrong(count: Count) -> dict[str, object]:
    found = {
        "lost": count.lost,
        "doubled": count.doubled,
        "stale": count.stale,
        "charged": count.charged,
        "conjured": count.conjured,
        "torn": count.torn,
        "strangers": count.strangers,
        "unclear": count.unclear(),
    }
    return {what: numbers for what, numbers in found.items() if numbers}


@pytest.mark.parametrize(
    ("effects", "dispatches", "expected"),
    [
        (ran(1), [said(DONE, 1)], {}),
        (ran(50)[:1] + ran(50, attempt=2, token=B, at=9), [said(DONE, 50)], {}),
        (ran(1), [said(UNKNOWN, 1)], {}),
        ([], [said(UNKNOWN, 1)], {}),
        ([], [said(REFUSED, 1)], {}),
        ([], [said(DONE, 1)], {"lost": [1]}),
        (ran(1)[:1], [said(DONE, 1)], {"lost": [1]}),
        (ran(1) + ran(1, token=B, at=9), [said(DONE, 1)], {"doubled": [1]}),
        (
            [ran(1)[0], *ran(1, token=B, at=9)[:1], Effect(ENDED, 1, 1, 7, 20, A)],
            [said(DONE, 1)],
            {"stale": [1]},
        ),
        (ran(1, attempt=2), [said(DONE, 1)], {"charged": [1]}),
        (ran(1), [said(REFUSED, 1)], {"conjured": [1]}),
        (ran(1), [said(UNKNOWN, 1, jobs=2)], {"torn": 1}),
        (ran(1), [], {"strangers": [1]}),
        ([], [said(UNCLEAR, 1, error="KeyError: 7")], {"unclear": ["KeyError: 7"]}),
    ],
)
def test_each_kind_of_wrong_is_counted(
    effects: Sequence[Effect], dispatches: Sequence[Dispatch], expected: dict[str, object]
) -> None:
    assert wrong(Count(effects, dispatches)) == expected


TWICE = ran(1) + ran(1, token=B, at=9)
BEGAN_TWICE = [*ran(1)[:1], *ran(1, token=B, at=9)]


@pytest.mark.parametrize(
    ("effects", "gone", "accepted", "doubled", "baseless"),
    [
        (TWICE, {}, False, [1], [1]),
        (TWICE, {7: 5}, False, [], []),
        (TWICE, {7: 5}, True, [1], [1]),
        (TWICE, {7: 9 + SECOND}, False, [1], [1]),
        (BEGAN_TWICE, {}, False, [], [1]),
        (BEGAN_TWICE, {7: 5}, False, [], []),
        (ran(1), {7: 5}, True, [], []),
        ([Effect(RAISED, 1, 1, 7, 1, A), *ran(1, token=B, at=9)], {}, False, [], []),
    ],
)
def test_a_job_may_run_again_where_its_process_was_gone(
    effects: Sequence[Effect],
    gone: Mapping[int, int],
    accepted: bool,
    doubled: list[int],
    baseless: list[int],
) -> None:
    """Unless the store had taken note of its end."""
    ends = frozenset({(bytes(16), A)}) if accepted else frozenset()
    count = Count(effects, [said(DONE, 1)], gone=gone, accepted=ends)

    assert (count.doubled, count.baseless) == (doubled, baseless)


def move(what: int, token: bytes, at: int, *, answered: int | None = None) -> Move:
    return Move(what, True, at, at + 1 if answered is None else answered, b"j" * 16, token)


FIRST, SECOND_CLAIM = move(CLAIMED, A, 1), move(CLAIMED, B, 10)


@pytest.mark.parametrize(
    ("moves", "late"),
    [
        ([FIRST, move(ACCEPTED, A, 5)], 0),
        ([FIRST, SECOND_CLAIM, move(ACCEPTED, B, 20)], 0),
        ([FIRST, SECOND_CLAIM, move(DECLINED, A, 20)], 0),
        ([FIRST, SECOND_CLAIM, move(ACCEPTED, A, 20)], 1),
        ([FIRST, move(ACCEPTED, A, 9, answered=30), SECOND_CLAIM], 0),  # whichever came first
        ([FIRST, move(UNANSWERED, A, 5), SECOND_CLAIM, move(ACCEPTED, A, 20)], 0),  # told again
    ],
)
def test_a_settle_is_late_where_another_claim_was_answered_before(
    moves: Sequence[Move], late: int
) -> None:
    assert len(late_and_accepted(moves)) == late


def test_claims_are_in_the_order_of_their_answers() -> None:
    slow = move(CLAIMED, B, 0, answered=12)

    assert claims_of([slow, FIRST]) == {FIRST.job: [A, B]}


def test_the_rate_is_back_when_a_second_has_it() -> None:
    moments = [*range(0, 2 * SECOND, SECOND // 10), *range(5 * SECOND, 8 * SECOND, SECOND // 10)]
    pace = Pace([Effect(ENDED, 1, 1, 7, at, A) for at in moments])

    assert pace.rate(0, 2 * SECOND) == 10
    assert pace.first_after(2 * SECOND) == 3
    assert pace.back_after(2 * SECOND, 9.5, until=9 * SECOND) == pytest.approx(3, abs=0.1)
    assert pace.back_after(2 * SECOND, 20, until=9 * SECOND) == float("inf")
    assert pace.first_after(8 * SECOND) == float("inf")
