"""What becomes of ticks: missed ones, overlapping ones, late ones, and those with conditions."""

from __future__ import annotations

import pytest

from tabur.model.clock import SECOND
from tabur.model.schedules import Decision
from tabur.model.ticks import MANY, ticks_until
from tabur.model.timing import parse_timing, times_of
from tests.scheduler.bench import MONDAY, Bench, declare, nothing

TEN_MINUTES = 600
DISPATCHED, SKIPPED, MISSED = "dispatched", "skipped", "missed"


def test_every_tick_dispatches_its_job_when_it_comes() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.watch(ticker, 180)
    assert bench.became() == [(60, DISPATCHED), (120, DISPATCHED), (180, DISPATCHED)]
    assert [job.name for job in bench.dispatched()] == ["schedule:it"] * 3
    assert bench.said == ["Running scheduled command: it"] * 3


def test_what_is_kept_of_it() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.watch(ticker, 65)
    stored = bench.driver.schedules.find("it")
    assert stored is not None
    assert (stored.last_run_at, stored.next_run_at) == (
        MONDAY + 60 * SECOND,
        MONDAY + 120 * SECOND,
    )
    (tick,) = bench.ticks()
    assert tick.job == stored.last_job == bench.dispatched()[0].id
    assert tick.scheduler == "one"


# missed


def test_last_makes_up_for_all_with_one_run() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.pass_by(TEN_MINUTES + 5)
    ticker.tick()
    assert bench.became() == [(60 * n, MISSED) for n in range(1, 10)] + [(600, DISPATCHED)]
    assert "only the latest runs (missed=last)" in bench.ticks()[0].reason


def test_last_runs_however_late() -> None:
    bench, ticker = declare(lambda it: it.daily())
    bench.pass_by(86_400 * 1.9)
    ticker.tick()
    assert [decision for _, decision in bench.became()] == [MISSED, DISPATCHED]


def test_skip_lets_go_what_is_found_late() -> None:
    bench, ticker = declare(lambda it: it.every_five_minutes().missed("skip"))
    bench.pass_by(TEN_MINUTES + 100)
    ticker.tick()
    assert bench.became() == [(300, MISSED), (600, MISSED)]
    assert bench.ticks()[-1].reason == "found 100 s after its time; its grace is 60 s"
    bench.watch(ticker, 300)
    assert bench.became()[-1] == (900, DISPATCHED)


def test_skip_runs_what_is_found_within_a_minute() -> None:
    bench, ticker = declare(lambda it: it.every_five_minutes().missed("skip"))
    bench.pass_by(TEN_MINUTES + 50)
    ticker.tick()
    assert bench.became() == [(300, MISSED), (600, DISPATCHED)]


def test_all_runs_each_up_to_its_limit() -> None:
    bench, ticker = declare(lambda it: it.every_minute().missed("all", limit=4))
    bench.pass_by(TEN_MINUTES)
    ticker.tick()
    assert bench.became() == [
        *((60 * n, MISSED) for n in range(1, 7)),
        *((60 * n, DISPATCHED) for n in range(7, 11)),
    ]
    assert "only the latest 4 run" in bench.ticks()[0].reason


@pytest.mark.parametrize("missed", ["last", "all"])
def test_a_grace_holds_for_every_policy(missed: str) -> None:
    bench, ticker = declare(lambda it: it.every_minute().missed(missed).grace(130))
    bench.pass_by(TEN_MINUTES + 10)
    ticker.tick()
    ran = [at for at, decision in bench.became() if decision == DISPATCHED]
    assert ran == ([480, 540, 600] if missed == "all" else [600])
    bench.pass_by(0)
    assert ticker.tick().dispatched == 0


def test_very_many_are_told_as_one() -> None:
    bench, ticker = declare(lambda it: it.every_second())
    bench.pass_by(50_000)
    ticker.tick()
    ticks = bench.ticks()
    assert len(ticks) == MANY + 1
    assert (ticks[0].due_at - MONDAY) // SECOND == 1
    assert "this and all others before 2026-01-05 23:36:41 UTC" in ticks[0].reason
    assert [tick.decision for tick in ticks].count(Decision.DISPATCHED) == 1
    assert (ticks[-1].due_at - MONDAY) // SECOND == 50_000


@pytest.mark.parametrize("expression", ["every second", "* * * * *", "0 3 * * *", "0 0 29 2 *"])
def test_the_latest_of_very_many_are_found_without_counting_all(expression: str) -> None:
    times = times_of(parse_timing(expression, "America/New_York"))
    first = times.after(MONDAY)
    assert first is not None
    now = first + 20 * 365 * 86_400 * SECOND
    found, more = ticks_until(times, first, now)
    assert len(found) <= MANY + 1
    assert found == sorted(found)
    assert found[0] == first
    following = times.after(found[-1])
    assert found[-1] <= now < (following or now + 1)
    assert more == (len(found) == MANY + 1)


# overlap


def test_overlapping_is_allowed_unless_it_is_not() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.watch(ticker, 180)
    assert len(bench.dispatched()) == 3  # none of them has run


def test_skip_while_the_job_before_has_not_ended() -> None:
    bench, ticker = declare(lambda it: it.every_minute().without_overlapping())
    bench.watch(ticker, 180)
    assert bench.became() == [(60, DISPATCHED), (120, SKIPPED), (180, SKIPPED)]
    assert bench.ticks()[1].reason == "the job of the tick before has not ended"
    bench.work()
    bench.watch(ticker, 60)
    assert bench.became()[-1] == (240, DISPATCHED)


def test_a_job_that_was_removed_keeps_nothing_waiting() -> None:
    bench, ticker = declare(lambda it: it.every_minute().without_overlapping())
    bench.watch(ticker, 60)
    (job,) = bench.dispatched()
    bench.driver.dispatching.cancel(job.id)
    bench.driver.dispatching.forget_one(job.id)
    bench.watch(ticker, 60)
    assert bench.became()[-1] == (120, DISPATCHED)


def test_wait_until_the_job_before_has_ended() -> None:
    bench, ticker = declare(lambda it: it.every_minute().overlap("wait"))
    bench.watch(ticker, 190)
    assert bench.became() == [(60, DISPATCHED)]
    stored = bench.driver.schedules.find("it")
    assert stored is not None
    assert stored.waiting == MONDAY + 120 * SECOND
    bench.work()
    bench.watch(ticker, 30)
    assert bench.became() == [(60, DISPATCHED), (120, DISPATCHED), (180, SKIPPED)]
    assert bench.ticks()[-1].reason == "the tick of 2026-01-05 10:02:00 UTC was waiting"
    assert bench.ticks()[1].decided_at > MONDAY + 190 * SECOND
    bench.work()
    bench.watch(ticker, 30)
    assert bench.became()[-1] == (240, DISPATCHED)


def test_with_all_they_wait_behind_each_other() -> None:
    bench, ticker = declare(lambda it: it.every_minute().overlap("wait").missed("all"))
    bench.watch(ticker, 190)
    for _ in range(3):
        bench.work()
        bench.watch(ticker, 15)
    assert [at for at, decision in bench.became() if decision == DISPATCHED][:3] == [60, 120, 180]
    assert SKIPPED not in dict(bench.became()).values()


def test_who_waits_has_no_grace() -> None:
    bench, ticker = declare(lambda it: it.every_minute().overlap("wait").missed("skip").grace(5))
    bench.watch(ticker, 300)
    bench.work()
    bench.watch(ticker, 30)
    assert bench.became()[1] == (120, DISPATCHED)


# conditions


def test_only_between_by_the_clock_of_its_zone() -> None:
    bench, ticker = declare(
        lambda it: it.hourly().timezone("Asia/Baghdad").between("13:30", "15:00")
    )
    bench.watch(ticker, 7 * 3_600, each=60)  # 13:00 to 20:00 there
    assert bench.became() == [
        *((3_600 * n, DISPATCHED) for n in (1, 2)),
        *((3_600 * n, SKIPPED) for n in range(3, 8)),
    ]
    assert bench.ticks()[-1].reason == "it runs only between 13:30 and 15:00"


def test_a_window_over_midnight() -> None:
    bench, ticker = declare(lambda it: it.hourly().unless_between("22:00", "11:00"))
    bench.watch(ticker, 15 * 3_600, each=60)
    ran = [at // 3_600 + 10 for at, decision in bench.became() if decision == DISPATCHED]
    assert ran == list(range(12, 22))


def test_conditions_of_code_are_asked_at_each_tick() -> None:
    answers = iter([False, True])
    bench, ticker = declare(lambda it: it.every_minute().when(lambda: next(answers)))
    bench.watch(ticker, 180)
    assert bench.became() == [(60, SKIPPED), (120, DISPATCHED), (180, SKIPPED)]
    assert "is not met" in bench.ticks()[0].reason
    assert "raised StopIteration" in bench.ticks()[2].reason


def test_elsewhere_there_is_no_such_schedule() -> None:
    bench = Bench()
    bench.jobs.schedule.call(nothing).name("here").every_minute().environments("production")
    bench.jobs.schedule.call(nothing).name("there").every_minute().environments(
        ["staging", "local"]
    )
    bench.jobs.scheduler(say=print)._loops[0]._ticker.register()
    assert [each.name for each in bench.driver.schedules.list(limit=9)] == ["here"]
