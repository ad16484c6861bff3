"""How many processes a queue needs, and how they are shared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.model.scaling import (
    MOST_COUNTED,
    Level,
    Limits,
    enough,
    evenly,
    need,
    share,
    wanted,
)

WIDE = Limits(0, 1000)


def level(**given: Any) -> Level:
    return Level("mail", **{"pending": 0, "service": 1.0, "slots": 10, **given})


# one queue


def test_what_arrives_fills_its_slots_and_what_waits_is_spread_over_the_target() -> None:
    assert need(level(arrivals=50.0), 60) == pytest.approx(5)
    assert need(level(pending=1_200), 60) == pytest.approx(2)
    assert need(level(pending=1_200, arrivals=50.0), 60) == pytest.approx(7)
    assert need(level(pending=1_200, arrivals=50.0), 30) == pytest.approx(9)
    assert need(level(pending=1_200, arrivals=50.0, service=0.1), 60) == pytest.approx(0.7)
    assert need(level(pending=1_200, arrivals=50.0, slots=100), 60) == pytest.approx(0.7)


def test_needs_are_rounded_up_and_stay_within_the_limits() -> None:
    assert wanted(level(arrivals=31.0), WIDE, 60) == 4
    assert wanted(level(arrivals=31.0), Limits(1, 3), 60) == 3
    assert wanted(level(), Limits(2, 5), 60) == 2
    assert wanted(level(arrivals=0.1 * 3, slots=1), WIDE, 60) == 1


def test_a_digit_that_floats_add_is_no_process() -> None:
    assert 0.1 * 3 > 0.3
    assert wanted(level(arrivals=0.1 * 3, service=10.0, slots=3), WIDE, 60) == 1


def test_one_job_that_waits_is_worth_a_process_even_with_a_minimum_of_none() -> None:
    assert wanted(level(pending=1, service=0.0), WIDE, 60) == 1
    assert wanted(level(), WIDE, 60) == 0


def test_what_is_left_of_an_old_mean_is_no_need() -> None:
    assert wanted(level(arrivals=0.4), WIDE, 60) == 0
    assert wanted(level(arrivals=0.6), WIDE, 60) == 1
    assert wanted(level(arrivals=0.4, pending=1), WIDE, 60) == 1


def test_before_a_job_has_ended_a_second_is_assumed() -> None:
    assert need(level(pending=1_200, service=None), 60) == pytest.approx(2)
    assert need(level(running=40, arrivals=1e3, service=None), 60) == pytest.approx(4)


def test_no_job_that_waits_needs_more_than_a_slot() -> None:
    assert need(level(pending=30, service=600.0), 60) == pytest.approx(3)
    assert need(level(pending=30, service=60.0), 60) == pytest.approx(3)
    assert need(level(pending=30, service=6.0), 60) == pytest.approx(0.3)


def test_long_jobs_are_counted_as_they_run() -> None:
    """One report of ten minutes is not the beginning of a flood of them."""
    assert need(level(arrivals=0.05, running=1, service=600.0), 60) == pytest.approx(0.1)
    assert need(level(arrivals=0.0, running=30, service=600.0), 60) == pytest.approx(3)


def test_a_paused_queue_needs_none_however_many_wait() -> None:
    assert wanted(level(pending=10**6, arrivals=1e3, paused=True), Limits(1, 10), 60) == 1


def test_supervisors_of_one_queue_drain_a_share_each() -> None:
    assert need(level(pending=1_200, shared_by=2), 60) == pytest.approx(1)


def test_counting_further_would_not_change_what_is_wanted() -> None:
    limits = Limits(1, 10)
    for service in (0.001, 0.12, 600.0, None):
        some = level(service=service)
        counted = replace(some, pending=enough(some, limits, 60))
        assert counted.pending == MOST_COUNTED or wanted(counted, limits, 60) == 10
    assert enough(level(service=0.0), limits, 60) == MOST_COUNTED


def test_limits_say_what_is_wrong_with_them() -> None:
    for least, most in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ConfigError, match="the minimum must not be above"):
            Limits(least, most)


# in words


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"pending": 1240, "arrivals": 38.2, "service": 0.12},
            "1,240 waiting, 38/s arriving, 120 ms each",
        ),
        ({"arrivals": 2.04, "service": 3.21}, "0 waiting, 2.0/s arriving, 3.2 s each"),
        ({"arrivals": 0.01, "service": 600.0}, "0 waiting, 0.6/min arriving, 600 s each"),
        ({"arrivals": -3.0, "service": 0.0021}, "0 waiting, none arriving, 2.1 ms each"),
        (
            {"pending": 7, "service": None, "shared_by": 2},
            "7 waiting for 2 supervisors, none arriving, none has ended yet",
        ),
        ({"pending": 7, "paused": True}, "paused, 7 waiting"),
        (
            {"pending": 9_000, "more": True, "service": 0.5},
            "9,000 or more waiting, none arriving, 500 ms each",
        ),
    ],
)
def test_a_level_is_told_in_a_line(given: dict[str, Any], said: str) -> None:
    assert str(level(**given)) == said


# several queues

levels = st.builds(
    Level,
    queue=st.just(""),
    pending=st.integers(0, MOST_COUNTED),
    arrivals=st.floats(-1e3, 1e5),
    service=st.none() | st.floats(0, 1e5),
    running=st.integers(0, 10_000),
    slots=st.integers(1, 10_000),
    shared_by=st.integers(1, 5),
    paused=st.booleans(),
)
bounds = st.builds(
    lambda least, more: Limits(least, max(1, least + more)), st.integers(0, 3), st.integers(0, 40)
)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[list[Level], dict[str, Limits], int]:
    """Queues, their limits, and a total that their minimums fit in."""
    found = draw(st.lists(levels, min_size=1, max_size=5))
    named = [replace(each, queue=f"q{n}") for n, each in enumerate(found)]
    limits = {each.queue: draw(bounds) for each in named}
    least = sum(each.minimum for each in limits.values())
    return named, limits, least + draw(st.integers(0, 30))


@given(fleet=fleets(), target=st.floats(0.1, 1e5))
def test_every_share_is_within_its_limits_and_all_within_the_total(
    fleet: tuple[list[Level], dict[str, Limits], int], target: float
) -> None:
    found, limits, total = fleet
    given = share(found, limits, total=total, target=target)
    assert sum(given.values()) <= total
    wants = {each.queue: wanted(each, limits[each.queue], target) for each in found}
    for queue, count in given.items():
        assert limits[queue].minimum <= count <= wants[queue] <= limits[queue].maximum
    if given != wants:
        assert sum(given.values()) == total  # nobody goes short while there is room


@given(fleet=fleets(), which=st.integers(0, 4), more=st.integers(1, MOST_COUNTED))
def test_with_more_waiting_a_queue_gets_no_fewer(
    fleet: tuple[list[Level], dict[str, Limits], int], which: int, more: int
) -> None:
    found, limits, total = fleet
    n = which % len(found)
    before = share(found, limits, total=total, target=60)
    found[n] = replace(found[n], pending=found[n].pending + more)
    after = share(found, limits, total=total, target=60)
    queue = found[n].queue
    assert after[queue] >= before[queue]
    assert all(after[each] <= before[each] for each in after if each != queue)


def test_scarce_processes_go_where_most_is_needed() -> None:
    found = [
        Level("high", pending=600, service=1.0, slots=1),
        Level("low", pending=300, service=1.0, slots=1),
        Level("idle", pending=0, service=1.0, slots=1),
    ]
    limits = {each.queue: Limits(1, 50) for each in found}
    assert share(found, limits, total=10, target=60) == {"high": 6, "low": 3, "idle": 1}
    assert share(found, limits, total=3, target=60) == {"high": 1, "low": 1, "idle": 1}


def test_one_for_each_that_has_work_comes_before_more_for_any() -> None:
    found = [
        Level("flood", pending=60_000, service=1.0, slots=1),
        Level("idle", pending=0, service=1.0, slots=1),
        Level("few", pending=1, service=1.0, slots=1),
    ]
    limits = {each.queue: Limits(0, 50) for each in found}
    assert share(found, limits, total=5, target=60) == {"flood": 4, "idle": 0, "few": 1}
    assert share(found, limits, total=1, target=60) == {"flood": 1, "idle": 0, "few": 0}


def test_minimums_that_do_not_fit_are_told() -> None:
    limits = {"a": Limits(3, 5), "b": Limits(3, 5)}
    with pytest.raises(ConfigError, match=r"6 processes together, and 5 are allowed"):
        share([Level("a", 999), Level("b", 999)], limits, total=5, target=0.1)


def test_an_even_division_gives_what_is_left_to_the_first() -> None:
    assert evenly(["a", "b", "c"], 8) == {"a": 3, "b": 3, "c": 2}
    with pytest.raises(ConfigError, match="2 processes cannot be divided among 3 queues"):
        evenly(["a", "b", "c"], 2)
