"""The table of states: complete, connected, and the one that the docs show."""

from __future__ import annotations

from pathlib import Path

from tabur.model.states import FINISHED, MOVES, State, allowed

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_a_move_is_allowed_that_stands_in_the_table_and_no_other() -> None:
    for source in State:
        for target in State:
            assert allowed(source, target) == ((source, target) in MOVES)
    assert not allowed(State.PENDING, State.PENDING)


def test_only_people_bring_back_what_is_finished() -> None:
    again = {(source, target) for source, target in MOVES if source in FINISHED}
    assert again == {
        (ended, waits)
        for ended in (State.FAILED, State.CANCELLED)
        for waits in (State.PENDING, State.BLOCKED)
    }


def test_every_end_comes_from_a_run_but_a_cancel() -> None:
    for source, target in MOVES:
        if target in FINISHED - {State.CANCELLED}:
            assert source is State.PROCESSING


def test_what_is_unfinished_can_always_come_to_an_end() -> None:
    for state in set(State) - FINISHED:
        assert _reachable(state) >= FINISHED


def test_every_unfinished_state_can_be_called_back() -> None:
    for state in set(State) - FINISHED:
        assert allowed(state, State.CANCELLED)


def test_the_page_shows_this_table() -> None:
    rows = [f"| {source} | {target} | {reason} |" for (source, target), reason in MOVES.items()]
    shown = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert shown == ["| from | to | when |", *rows]


def _reachable(start: State) -> set[State]:
    found, new = set[State](), {start}
    while new:
        found |= new
        new = {target for source, target in MOVES if source in found} - found
    return found
