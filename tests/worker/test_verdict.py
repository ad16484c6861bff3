"""Whether a child may live on, by what its board shows: each rule with its moments."""

from __future__ import annotations

from typing import Any

from tabur.worker.board import Doing, Seen
from tabur.worker.options import WorkOptions
from tabur.worker.supervision.verdict import DEAF, FROZEN, OVERDUE, Verdict, judged

NOW = 1000.0
LATE, NEIGHBOUR = b"l" * 16, b"n" * 16


def board(*, looked_at: float = NOW, turned_at: float = NOW, since: float = 1.0) -> Seen:
    return Seen(
        looked_at=looked_at,
        turned_at=turned_at,
        ends_by=0.0,
        busy=0.0,
        started=2,
        ended=0,
        doing=Doing.WORKING,
        running=2,
        since=since,
    )


def verdict(seen: Seen, *, late_since: float = NOW, **given: Any) -> Verdict | None:
    """On a child with two jobs, of which one is over its time since `late_since`."""
    moments: dict[str, Any] = {
        "now": NOW,
        "last_beat": NOW,
        "kill_by": None,
        "awake_since": 0.0,
    }
    return judged(
        seen,
        lambda before: frozenset({LATE} if late_since <= before else {}),
        lambda: frozenset({LATE, NEIGHBOUR}),
        WorkOptions(),
        **(moments | given),
    )


def test_a_child_that_looks_and_turns_lives_on() -> None:
    assert verdict(board(), late_since=NOW - 600) is None


def test_a_frozen_child_is_killed_and_the_job_that_is_late_is_blamed() -> None:
    frozen = board(looked_at=NOW - FROZEN - 0.1)
    found = verdict(frozen, late_since=NOW - OVERDUE)
    assert found is not None
    assert found.crash is not None
    assert found.crash.blamed == frozenset({LATE})
    assert verdict(frozen, late_since=NOW - OVERDUE + 0.1) is None


def test_a_child_that_stood_still_with_its_supervisor_is_given_time() -> None:
    """A suspended machine goes on: nobody has looked for an hour, and all jobs are over time."""
    stood_still = board(looked_at=NOW - 3600, turned_at=NOW - 3600)
    asked = {"late_since": NOW - 3500}
    assert verdict(stood_still, **asked, awake_since=NOW) is None
    assert verdict(stood_still, **asked, awake_since=NOW - FROZEN) is None
    assert verdict(stood_still, **asked, awake_since=NOW - FROZEN - 0.1) is not None


def test_a_child_that_its_store_does_not_answer_while_it_answers_others_is_killed() -> None:
    deaf = board(turned_at=NOW - DEAF - 0.1)
    found = verdict(deaf)
    assert found is not None
    assert found.crash is None, "nobody is to blame"
    assert verdict(board(turned_at=NOW - DEAF)) is None
    assert verdict(deaf, last_beat=NOW - DEAF / 2) is None, "nor does it answer its supervisor"


def test_a_child_may_be_deaf_from_its_first_turn_on() -> None:
    assert verdict(board(turned_at=0.0, since=NOW - DEAF - 0.1)) is not None
    assert verdict(board(turned_at=0.0, since=NOW - DEAF)) is None
    assert verdict(board(turned_at=0.0, since=0.0)) is None, "it has not been told to work yet"
