"""Schedulers, workers and people on one store, in any order: what holds after each step."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tabur.errors import StoreUnavailable
from tabur.model.clock import SECOND
from tabur.model.schedules import Decision
from tabur.model.ticks import Missed, Overlap
from tabur.model.timing import parse_timing, times_of
from tests.effort import effort
from tests.scheduler.bench import MONDAY, Bench, nothing
from tests.scheduler.test_ticker import Faulty

NAMES = [f"{missed} {overlap}" for missed in Missed for overlap in Overlap]
LIMIT = 3


class Schedulers(RuleBasedStateMachine):
    """Nine schedules, one for each pair of policies, every minute; two schedulers, one of them on a
    bad line."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        for name in NAMES:
            missed, overlap = name.split()
            entry = self.bench.jobs.schedule.call(nothing).name(name).every_minute()
            entry.set(missed=missed, overlap=overlap, missed_limit=LIMIT)
        self.line = Faulty(self.bench.driver)
        bad: Any = self.line
        self.tickers = [self.bench.begun(), self.bench.ticker("two", driver=bad)]
        self.paused: set[str] = set()
        self.ever_paused: set[str] = set()
        self.looked_at = MONDAY

    @rule(seconds=st.one_of(st.integers(1, 90), st.integers(600, 7_200)))
    def time_passes(self, seconds: int) -> None:
        self.bench.pass_by(seconds)

    @rule(n=st.integers(0, 1), fails=st.lists(st.sampled_from(["", "before", "after"]), max_size=2))
    def one_looks(self, n: int, fails: list[str]) -> None:
        self.line.fails = fails if n == 1 else []
        try:
            self.tickers[n].tick()
        except StoreUnavailable:
            return
        self.looked_at = self.bench.clock.now

    @rule(n=st.integers(0, 1))
    def one_dies_and_another_begins(self, n: int) -> None:
        driver: Any = self.line if n == 1 else self.bench.driver
        self.tickers[n] = self.bench.ticker(f"next {n}", driver=driver)
        self.tickers[n].register()

    @rule()
    def workers_work(self) -> None:
        self.bench.work()

    @rule(name=st.sampled_from(NAMES))
    def somebody_pauses(self, name: str) -> None:
        self.bench.jobs.schedules.pause(name)
        self.paused.add(name)
        self.ever_paused.add(name)

    @precondition(lambda self: self.paused)
    @rule(data=st.data())
    def somebody_resumes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.paused)))
        self.bench.jobs.schedules.resume(name)
        self.paused.discard(name)

    @invariant()
    def each_job_has_its_tick_and_each_tick_that_ran_its_job(self) -> None:
        named = [tick.job for tick in self.bench.ticks() if tick.decision is Decision.DISPATCHED]
        jobs = [job.id for job in self.bench.dispatched()]
        assert len(set(named)) == len(named)
        assert set(jobs) == set(named)

    @invariant()
    def what_did_not_run_has_a_reason(self) -> None:
        for tick in self.bench.ticks():
            ran = tick.decision is Decision.DISPATCHED
            assert (tick.reason == "") is ran
            assert (tick.job is not None) is ran

    @invariant()
    def ticks_are_where_the_expression_has_them_and_none_is_left_out(self) -> None:
        times = times_of(parse_timing("* * * * *"))
        for name in NAMES:
            due = [tick.due_at for tick in self.bench.ticks(name)]
            assert all(at % (60 * SECOND) == 0 for at in due)
            if name in self.ever_paused or not due:
                continue
            upcoming = times.upcoming(MONDAY)
            assert due == [next(upcoming) for _ in due]
            stored = self.bench.driver.schedules.find(name)
            assert stored is not None
            if stored.waiting is None:
                assert stored.next_run_at == next(upcoming)
            else:
                assert stored.waiting == next(upcoming)
                assert Overlap.WAIT in name

    @invariant()
    def without_overlapping_at_most_one_has_not_ended(self) -> None:
        open_jobs = {
            job.id for job in self.bench.dispatched() if job.state not in ("completed", "failed")
        }
        for name in NAMES:
            if name.endswith(Overlap.ALLOW):
                continue
            ran = [tick.job for tick in self.bench.ticks(name) if tick.job in open_jobs]
            assert len(ran) <= 1

    @invariant()
    def who_was_looked_at_is_not_due(self) -> None:
        if self.looked_at == self.bench.clock.now:
            assert self.bench.driver.schedules.due(limit=99).due == ()


TestSchedulers = Schedulers.TestCase
TestSchedulers.settings = effort(30, steps=30)
