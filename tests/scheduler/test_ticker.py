"""A scheduler among others: what it makes known, what it leaves to others, and what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tabur import Tabur
from tabur.drivers.contract import Schedules
from tabur.errors import StoreUnavailable
from tabur.model.clock import SECOND
from tabur.model.schedules import Advance, Origin, ScheduleRecord
from tabur.scheduler.ticker import PATIENCE
from tests.scheduler.bench import MONDAY, Bench, declare, nothing


class Faulty:
    """A driver of which `advance` fails: `before` it is done, or `after`, when only its answer is
    lost."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.schedules: Schedules = self
        self.fails: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("put", "due", "find", "list", "delete", "ticks", "prune"):
            return getattr(self._inner.schedules, name)
        return getattr(self._inner, name)

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        when = self.fails.pop(0) if self.fails else ""
        if when == "before":
            raise StoreUnavailable("cut off")
        answers: Sequence[bool] = self._inner.schedules.advance(moves)
        if when == "after":
            raise StoreUnavailable("cut off")
        return answers


def stored(bench: Bench, name: str = "it") -> ScheduleRecord:
    found = bench.driver.schedules.find(name)
    assert found is not None
    return found


def code(tell: Any) -> dict[str, Any]:
    """What another version of the code declares."""
    jobs = Tabur("memory")
    tell(jobs.schedule.call(nothing).name("it"))
    return jobs.schedule.declared()


# making known


def test_what_is_registered_again_stays_as_it_was() -> None:
    bench, ticker = declare(lambda it: it.hourly())
    before = stored(bench)
    bench.pass_by(100)
    assert ticker.register() == 0
    assert bench.ticker("two").register() == 0
    assert stored(bench) == before


def test_a_change_keeps_when_it_is_due_unless_that_is_the_change() -> None:
    bench, ticker = declare(lambda it: it.hourly())
    bench.watch(ticker, 3_600, each=60)
    before = stored(bench)
    bench.pass_by(3_700)  # a tick has come meanwhile: it must not be lost
    calmer = bench.ticker(declared=code(lambda it: it.hourly().without_overlapping()))
    assert calmer.register() == 1
    after = stored(bench)
    assert (after.next_run_at, after.last_run_at) == (before.next_run_at, before.last_run_at)
    assert after.revision == before.revision + 1
    moved = bench.ticker(declared=code(lambda it: it.hourly_at(30)))
    moved.register()
    assert stored(bench).next_run_at == MONDAY + (2 * 3_600 + 1_800) * SECOND


def test_what_the_code_has_no_more_goes_and_its_history_stays() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.watch(ticker, 60)
    bench.ticker(declared={}).register()
    assert bench.driver.schedules.find("it") is None
    assert bench.became("it") == [(60, "dispatched")]


def test_a_pause_outlives_a_deployment() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.jobs.schedules.pause("it")
    bench.ticker(declared=code(lambda it: it.every_five_minutes())).register()
    assert not stored(bench).is_active
    bench.watch(ticker, 600)
    assert bench.became() == []


def test_a_name_that_was_taken_at_run_time_stays_as_it_is() -> None:
    bench = Bench()

    @bench.jobs.job()
    def sync() -> None: ...

    bench.jobs.schedules.create(name="it", cron="@daily", job=sync)
    bench.jobs.schedule.call(nothing).name("it").every_minute()
    ticker = bench.begun()
    assert stored(bench).origin is Origin.TABLE
    assert "is left out: one of that name was made at run time" in bench.said[0]
    bench.watch(ticker, 120)
    assert bench.became() == []


# among others


def test_of_several_each_tick_is_decided_by_one() -> None:
    bench, _ = declare(lambda it: it.every_second())
    tickers = [bench.ticker(name) for name in ("a", "b", "c")]
    for n in range(60):
        bench.pass_by(1)
        for ticker in tickers[n % 3 :] + tickers[: n % 3]:
            ticker.tick()
    assert bench.became() == [(n, "dispatched") for n in range(1, 61)]
    assert {tick.scheduler for tick in bench.ticks()} == {"a", "b", "c"}
    assert len(bench.dispatched()) == len(bench.said) == 60


def test_decided_twice_at_once_is_dispatched_once() -> None:
    bench, one = declare(lambda it: it.every_minute())
    two = bench.ticker("two")
    bench.pass_by(60)
    due = bench.driver.schedules.due(limit=9)
    moves = [ticker._decide(due.due[0], due.now) for ticker in (one, two)]
    assert [bench.driver.schedules.advance([move])[0] for move in moves] == [True, False]
    assert len(bench.dispatched()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_neither_loses_nor_doubles(when: str) -> None:
    bench, _ = declare(lambda it: it.every_minute().missed("all"))
    faulty = Faulty(bench.driver)
    ticker = bench.ticker(driver=faulty)
    for n in range(20):
        bench.pass_by(60)
        faulty.fails = [when] if n % 3 else []
        for _ in range(2):
            try:
                ticker.tick()
            except StoreUnavailable:
                continue
            break
    ticker.tick()
    assert bench.became() == [(60 * n, "dispatched") for n in range(1, 21)]
    assert len(bench.dispatched()) == 20


def test_one_that_cannot_be_written_holds_up_no_other() -> None:
    bench = Bench()
    for name in ("bad", "good"):
        bench.jobs.schedule.call(nothing).name(name).every_minute()

    class Picky(Faulty):
        def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
            if any(move.schedule == "bad" for move in moves):
                raise ValueError("cannot be kept")
            return super().advance(moves)

    bench.begun()
    ticker = bench.ticker(driver=Picky(bench.driver))
    bench.watch(ticker, 120)
    assert bench.became("good") == [(60, "dispatched"), (120, "dispatched")]
    assert bench.became("bad") == []


# what this code does not know


def test_a_job_of_a_newer_version_is_left_to_it() -> None:
    bench, newer = declare(lambda it: it.every_minute())
    older = bench.ticker("older", declared={})
    older._maker = Tabur("memory").maker(None)
    bench.watch(older, 120)
    assert bench.became() == []
    assert older.tick().left == 1
    newer.tick()
    assert dict(bench.became())[120] == "dispatched"
    assert older.tick().left == 0


def test_what_nobody_knows_is_skipped_in_the_end() -> None:
    bench, _ = declare(lambda it: it.every_minute())
    older = bench.ticker("older", declared={})
    older._maker = Tabur("memory").maker(None)
    bench.watch(older, int(PATIENCE) + 130)
    (tick, *_) = bench.ticks()
    assert tick.decision == "skipped"
    assert "No job is called 'schedule:it' in this app" in tick.reason


def test_conditions_that_are_not_in_this_version_are_left_to_others() -> None:
    bench, newer = declare(lambda it: it.every_minute().when(True))
    older = bench.ticker("older", declared={})
    bench.pass_by(60)
    assert older.tick().left == 1
    assert newer.tick().dispatched == 1


def test_what_is_left_does_not_crowd_out_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabur.scheduler.ticker.BATCH", 2)
    bench, _ = declare(lambda it: it.every_minute())
    odd = [
        replace(stored(bench), name=f"odd {n}", origin=Origin.TABLE, definition=b"{}", revision=1)
        for n in range(7)
    ]
    bench.driver.schedules.put(odd)
    ticker = bench.ticker()
    bench.watch(ticker, 180, each=20)
    assert [at for at, _ in bench.became("it")] == [60, 120, 180]


@pytest.mark.parametrize("definition", [b"", b"{}", b"\xff", b'{"timing": 5, "job": {"name": ""}}'])
def test_a_definition_that_cannot_be_read_stops_nobody(definition: bytes) -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bad = replace(stored(bench), name="bad", origin=Origin.TABLE, definition=definition, revision=1)
    bench.driver.schedules.put([bad])
    bench.watch(ticker, int(PATIENCE) + 120, each=20)
    assert len(bench.became("it")) >= PATIENCE // 60
    (tick,) = bench.ticks("bad")
    assert "cannot be read" in tick.reason
    (shown,) = [each for each in bench.jobs.schedules.list() if each.name == "bad"]
    assert "cannot be read" in (shown.problem or "")


def test_arguments_that_do_not_fit_any_more_are_told_with_each_tick() -> None:
    bench = Bench()

    @bench.jobs.job()
    def sync(limit: int) -> None: ...

    bench.jobs.schedules.create(name="it", cron="* * * * *", job=sync(limit=3))
    found = stored(bench)
    raw = found.definition.replace(b'{"limit":3}', b'{"limit":"many"}')
    assert raw != found.definition
    bench.driver.schedules.put([replace(found, definition=raw, revision=2)])
    bench.watch(bench.ticker(), 60)
    (tick,) = bench.ticks("it")
    assert (tick.decision, tick.reason[:27]) == ("skipped", "its arguments do not fit: s")


# the clock


def test_a_clock_that_is_set_back_repeats_nothing() -> None:
    bench, ticker = declare(lambda it: it.every_minute())
    bench.watch(ticker, 300)
    bench.clock.advance(-240)
    bench.watch(ticker, 300)
    assert bench.became() == [(60 * n, "dispatched") for n in range(1, 7)]


def test_a_store_that_runs_at_dispatch_is_drained() -> None:
    ran: list[int] = []
    bench = Bench()
    bench.jobs.schedule.call(lambda: ran.append(1)).name("it").every_minute()
    ticker = bench.begun()
    ticker._drain = bench.work
    bench.watch(ticker, 180)
    assert len(ran) == 3


def test_the_definition_is_readable_json() -> None:
    bench, _ = declare(lambda it: it.daily_at("2:00").timezone("Asia/Baghdad"))
    assert msgspec.json.decode(stored(bench).definition) == {
        "timing": {"cron": "0 2 * * *", "timezone": "Asia/Baghdad"},
        "job": {"name": "schedule:it", "arguments": {}},
        "policy": {},
        "runs": "nothing()",
    }
