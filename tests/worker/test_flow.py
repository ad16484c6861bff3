"""Arrivals and durations, told from counters that are looked at now and then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.worker.balancing.flow import Flow, Meter


class Process:
    """One process that works as it is told, and a flow that looks at it."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.now = 1_000.0
        self.meter = Meter()
        self.look(0)

    def look(self, pending: int, *, after: float = 0.0, counted: bool = True) -> None:
        self.now += after
        self.flow.look({"w1": self.meter}, pending, now=self.now, counted=counted)

    def runs(self, jobs: int, *, each: float) -> None:
        meter = self.meter
        self.meter = Meter(meter.started + jobs, meter.ended + jobs, meter.busy + jobs * each)

    def starts(self, jobs: int) -> None:
        self.meter = Meter(self.meter.started + jobs, self.meter.ended, self.meter.busy)


def test_nothing_is_known_at_first() -> None:
    flow = Process().flow
    assert (flow.arrivals, flow.service) == (0.0, None)


def test_what_is_started_and_what_more_waits_has_arrived() -> None:
    process = Process()
    for n in range(1, 61):
        process.runs(30, each=0.2)
        process.look(8 * n, after=2.0)
    assert process.flow.arrivals == pytest.approx(19, rel=0.01)
    assert process.flow.service == pytest.approx(0.2)


def test_a_backlog_that_is_worked_off_has_not_arrived() -> None:
    process = Process()
    process.look(6_000, after=0.0)
    for n in range(1, 61):
        process.runs(100, each=0.1)
        process.look(6_000 - 100 * n, after=1.0)
    assert process.flow.arrivals == pytest.approx(0, abs=1)


def test_of_several_supervisors_each_sees_its_share() -> None:
    process = Process()
    process.look(6_000)
    for n in range(1, 61):  # 36 arrive a second, we take 10, another supervisor 20, and 6 stay
        process.runs(10, each=0.1)
        process.flow.look({"w1": process.meter}, 6_000 + 6 * n, now=process.now + n, shared_by=2)
    assert process.flow.arrivals == pytest.approx(13, rel=0.01)


def test_a_rate_is_known_soon_after_the_start() -> None:
    process = Process()
    for _ in range(3):
        process.runs(200, each=0.1)
        process.look(0, after=2.0)
    assert process.flow.arrivals == pytest.approx(100)


def test_a_burst_is_no_rate() -> None:
    process = Process()
    for n in range(30):
        process.runs(20, each=0.1)
        process.look(1_000 if n > 10 else 0, after=2.0)
        assert process.flow.arrivals == pytest.approx(10 if n else 0)


def test_a_rate_that_lasts_is_known_within_some_looks() -> None:
    process = Process()
    for _ in range(20):
        process.look(0, after=2.0)
    for n in range(1, 11):
        process.runs(20, each=0.1)
        process.look(100 * n, after=2.0)
    assert process.flow.arrivals == pytest.approx(60)


def test_of_a_backlog_that_was_not_counted_to_its_end_nothing_is_learned() -> None:
    process = Process()
    for _ in range(12):
        process.runs(20, each=0.1)
        process.look(0, after=1.0)
    for more in range(1, 31):
        process.runs(500, each=0.1)
        process.look(1_000 + 50_000 * more, after=1.0, counted=False)
    process.runs(500, each=0.1)
    process.look(30, after=1.0)
    assert process.flow.arrivals == pytest.approx(20)


def test_a_process_that_is_gone_and_one_that_is_new_are_no_jump() -> None:
    process = Process()
    for n in range(60):
        process.runs(10, each=0.1)
        meters = {"w1": process.meter} if n < 30 else {"w2": Meter(10 * (n - 29), 10 * (n - 29))}
        process.now += 1.0
        process.flow.look(meters, 0, now=process.now)
        if n > 5:
            assert process.flow.arrivals == pytest.approx(10, rel=0.2)


def test_jobs_that_do_not_end_last_as_long_as_they_have_run() -> None:
    process = Process()
    process.runs(5, each=0.1)
    process.look(40, after=1.0)
    process.starts(10)
    process.look(30, after=1.0)
    assert process.flow.service == pytest.approx(0.1)
    process.look(30, after=90.0)
    assert process.flow.service == pytest.approx(90)
    assert process.flow.arrivals * 90 <= 10  # as many as run, and no more
    process.meter = Meter(15, 15, 0.5 + 10 * 100)
    process.look(30, after=10.0)
    assert process.flow.service == pytest.approx(0.1 + (100 - 0.1) * 0.18, rel=0.05)


def test_a_change_of_duration_is_followed_over_some_fifty_jobs() -> None:
    process = Process()
    process.runs(1_000, each=0.1)
    process.look(0, after=2.0)
    process.runs(50, each=1.0)
    process.look(0, after=2.0)
    assert 0.5 < (process.flow.service or 0) < 0.9
    process.runs(200, each=1.0)
    process.look(0, after=2.0)
    assert process.flow.service == pytest.approx(1.0, rel=0.02)


@given(
    looks=st.lists(
        st.tuples(st.floats(0, 100), st.integers(0, 1000), st.floats(0, 100), st.integers(0, 10**6))
    )
)
def test_whatever_is_seen_arrivals_and_durations_are_within_what_was_seen(
    looks: list[tuple[float, int, float, int]],
) -> None:
    process = Process()
    longest = 0.0
    for after, jobs, each, pending in looks:
        process.runs(jobs, each=each)
        process.look(pending, after=after)
        longest = max(longest, each if jobs else 0.0)
    service = process.flow.service
    assert service is None or -1e-9 <= service <= longest * (1 + 1e-9)
