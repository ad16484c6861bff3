"""A contestant that hangs or dies costs the run its own figures, and nothing else."""

import time

import pytest

from bench.contestants import Contestant, Entry, Refused, opened
from bench.place import fresh_place
from bench.plan import Plan
from bench.questions import dispatch
from bench.session import Session
from bench.stores.sqlite import SQLite

STUBBORN = Contestant(
    name="stubborn", module="tests.bench.stubborn", stores={"sqlite": Entry(drained=1)}
)


def test_who_hangs_is_given_up_and_not_waited_for() -> None:
    session = Session(Plan(), {})
    started = time.monotonic()

    with (
        fresh_place(SQLite()) as place,
        opened(STUBBORN, place) as adapter,
        session.attempt("hangs", seconds=0.3),
    ):
        adapter.ask("dispatch_each", first=2, count=1)

    assert session.figures.failures["hangs"] == "TimeoutError: not done after 0.3 s"
    assert time.monotonic() - started < 5


def test_who_dies_is_told_at_once() -> None:
    with (
        pytest.raises(Refused, match="the adapter is gone"),
        fresh_place(SQLite()) as place,
        opened(STUBBORN, place) as adapter,
    ):
        adapter.ask("dispatch_each", first=1, count=1)


def test_a_race_goes_on_without_who_dies() -> None:
    session = Session(Plan(), {"stubborn": STUBBORN})

    dispatch.measure(session, SQLite())

    assert set(session.figures.failures) == {"dispatch sqlite open stubborn"}
    assert not session.figures.runs


def test_what_is_not_offered_is_no_failure() -> None:
    with fresh_place(SQLite()) as place, opened(STUBBORN, place) as adapter:
        adapter.dispatch(1)  # it has no call for many: they are dispatched one by one
