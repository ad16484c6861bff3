"""What a worker process shows of itself, and what is made of it from outside."""

from __future__ import annotations

from math import inf
from pathlib import Path
from time import monotonic

import pytest

from tabur.worker.board import Board, Doing, Seen, read_board
from tabur.worker.load import LOADING
from tabur.worker.options import WorkOptions
from tabur.worker.supervision.verdict import DEAF, EXIT_TIME, FROZEN, OVERDUE, Verdict, judged

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "one.board", slots=2)


def seen_elsewhere(board: Board) -> Board:
    return Board(board.path)


def test_what_is_written_is_seen_by_others(board: Board) -> None:
    board.looked(1.5)
    board.turned(2.5)
    board.ends_by(9.0)
    board.does(Doing.RETIRING, "timed out")
    board.counts(started=3, ended=2, busy=0.25)
    board.runs([A, B], [5.0, inf], shared=1)
    since = board.seen().since
    assert seen_elsewhere(board).seen() == Seen(
        1.5, 2.5, 9.0, 0.25, 3, 2, Doing.RETIRING, 2, "timed out", since
    )
    assert board.path is not None
    assert read_board(board.path) == board.seen()


def test_since_when_it_does_what_it_does(board: Board) -> None:
    assert board.seen().since == 0.0
    before = monotonic()
    board.does(Doing.WORKING)
    began = board.seen().since
    assert before <= began <= monotonic()
    board.does(Doing.WORKING, "still")
    assert board.seen().since == began
    board.does(Doing.ENDING)
    assert board.seen().since > began


def test_a_process_that_was_just_started_is_known_by_its_number(board: Board) -> None:
    board.belongs_to(4711)
    seen = board.seen()
    assert seen.pid == 4711
    assert 0 < seen.looked_at <= monotonic()
    assert seen.turned_at == 0


def test_what_is_no_board_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.board").write_bytes(b"short")
    with pytest.raises(ValueError, match="no board"):
        read_board(tmp_path / "x.board")


def test_jobs_over_their_time_are_told_by_name(board: Board) -> None:
    board.runs([A, B], [5.0, inf], shared=1)
    other = seen_elsewhere(board)
    assert other.overdue(4.9) == frozenset()
    assert other.overdue(5.0) == {A}
    assert other.shared() == {A}
    board.runs([], [], shared=0)
    assert other.overdue(5.0) == frozenset()


def test_more_jobs_than_it_has_room_for_do_no_harm(board: Board) -> None:
    board.runs([A, B, C], [1.0, 2.0, 3.0], shared=3)
    assert seen_elsewhere(board).overdue(9.0) == {A, B}


NOW = 1_000.0
WELL = Seen(NOW, NOW, 0.0, 0.0, 0, 0, Doing.WORKING, 0)


def verdict(
    *,
    looked: float = NOW,
    turned: float = NOW,
    ends_by: float = 0.0,
    deadline: float = inf,
    last_beat: float = NOW,
    kill_by: float | None = None,
    since: float = NOW - 10_000,
    doing: Doing = Doing.WORKING,
    awake_since: float = NOW - 10_000,
) -> Verdict | None:
    board = Seen(looked, turned, ends_by, 0.0, 0, 0, doing, 1, since=since)
    return judged(
        board,
        lambda before: frozenset({A, B} if deadline <= before else ()),
        lambda: frozenset({A, C}),
        WorkOptions(),
        now=NOW,
        last_beat=last_beat,
        kill_by=kill_by,
        awake_since=awake_since,
    )


def test_who_works_lives_on() -> None:
    assert verdict() is None


def test_a_frozen_process_dies_once_a_job_of_it_is_over_its_time_and_that_job_is_blamed() -> None:
    frozen, over = NOW - FROZEN - 0.1, NOW - OVERDUE - 0.1
    assert verdict(looked=frozen) is None  # it may compute for as long as it is allowed to
    assert verdict(deadline=over) is None  # it is about to end that job by itself
    found = verdict(looked=frozen, deadline=over)
    assert found is not None
    assert found.crash is not None
    assert found.crash.blamed == frozenset({A})


def test_who_has_not_ended_in_time_dies_and_nobody_is_blamed() -> None:
    assert verdict(kill_by=NOW + 1) is None
    assert verdict(kill_by=NOW - 1) == Verdict("it has not ended in time")
    assert verdict(ends_by=NOW - EXIT_TIME + 1) is None
    assert verdict(ends_by=NOW - EXIT_TIME - 1) == Verdict("it has not ended in time")


def test_who_hears_nothing_from_a_store_that_answers_others_is_replaced() -> None:
    long_ago = NOW - DEAF - 1
    assert verdict(turned=long_ago) is not None
    assert verdict(turned=long_ago, last_beat=NOW - DEAF) is None  # it answers nobody
    assert verdict(turned=0.0) is not None  # its first turn is the one that hangs


def test_who_loads_a_large_app_has_asked_the_store_nothing_and_has_time_for_it() -> None:
    long_ago = NOW - LOADING + 1
    assert verdict(doing=Doing.STARTING, turned=0.0, looked=long_ago, since=0.0) is None
    found = verdict(doing=Doing.STARTING, turned=0.0, looked=long_ago - 2, since=0.0)
    assert found == Verdict("it has been loading the app for 300 s")


def test_what_was_not_done_while_the_machine_stood_still_is_not_held_against_anybody() -> None:
    frozen, over = NOW - FROZEN - 0.1, NOW - OVERDUE - 0.1
    assert verdict(looked=frozen, deadline=over, awake_since=NOW - 1) is None
    assert verdict(turned=NOW - DEAF - 1, awake_since=NOW - 1) is None
