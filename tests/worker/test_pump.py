"""The pump beside a store that remembers a claim whose answer never came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

import pytest

from tabur import Tabur
from tabur.drivers.contract import Exchange, Exchanged
from tabur.errors import StoreUnavailable
from tabur.model.ids import new_token
from tabur.model.outcome import Outcome
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running import unheard
from tabur.worker.running.pump import Pump
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import Run
from tabur.worker.running.slots import ThreadSlots


class Silent:
    def started(self, runs: object) -> None: ...

    def settled(self, ends: object) -> None: ...


@contextmanager
def pumping_in_a_thread(jobs: Tabur) -> Iterator[None]:
    options = WorkOptions(sleep=0.02)
    pump = Pump(jobs.runtime, options, "w1", StoreReporter(jobs.runtime), Silent(), board=Board())
    slots = ThreadSlots(2, jobs.runtime.scope, pump.done)
    thread = threading.Thread(target=pump.run, args=({Isolation.THREAD: slots},))
    thread.start()
    try:
        yield
    finally:
        pump.stop("test")
        thread.join(20)


def test_a_claim_that_never_arrived_is_released_while_its_worker_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unheard, "EVERY", 0.05)
    jobs = Tabur(connection="memory")
    started = threading.Event()

    @jobs.job()
    def patient() -> None:
        started.wait(20)

    slow, lost = patient.dispatch(), None
    with pumping_in_a_thread(jobs):
        _until(lambda: slow.status().state == "processing")
        # The store has answered a claim of this worker that the worker never heard of.
        lost = patient.options(queue="other").dispatch()
        claiming = jobs.driver.claiming
        turn = Exchange("w1", token=new_token(), queues=("other",), slots={Isolation.THREAD: 1})
        assert len(claiming.exchange(turn).claimed) == 1
        _until(lambda: lost.status().state == "pending")
        assert slow.status().state == "processing", "what runs is no strange claim"
        assert len(claiming.held("w1")) == 1
        started.set()
    assert slow.status().state == "completed"


def test_a_retry_waits_no_shorter_because_the_store_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = Tabur(connection="memory")
    failed_at: list[datetime] = []

    @jobs.job(tries=2, backoff=60)
    def fails() -> None:
        failed_at.append(datetime.now(UTC))
        raise ValueError("as always")

    exchange = jobs.driver.claiming.exchange

    def slow(turn: Exchange) -> Exchanged:
        answer = exchange(turn)  # tells the time as it is here
        sleep(0.2)
        return answer

    monkeypatch.setattr(jobs.driver.claiming, "exchange", slow)
    handle = fails.dispatch()
    with pumping_in_a_thread(jobs):
        _until(lambda: handle.status().state == "scheduled")
    due = handle.status().due_at
    assert due is not None
    assert timedelta(seconds=60) <= due - failed_at[0] < timedelta(seconds=61)


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = monotonic() + 20
    while not condition():
        assert monotonic() < deadline
        sleep(0.01)


def test_what_is_claimed_while_it_is_told_to_stop_is_handed_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = Tabur(connection="memory")
    ran: list[int] = []

    @jobs.job()
    def note(n: int) -> None:
        ran.append(n)

    handles = [note.dispatch(n=n) for n in range(3)]
    options = WorkOptions(sleep=0.02)
    pump = Pump(jobs.runtime, options, "w1", StoreReporter(jobs.runtime), Silent(), board=Board())
    exchange = jobs.driver.claiming.exchange

    def stop_meanwhile(turn: Exchange) -> Exchanged:
        answer = exchange(turn)
        pump.stop("test")
        return answer

    monkeypatch.setattr(jobs.driver.claiming, "exchange", stop_meanwhile)
    pump.run({Isolation.THREAD: ThreadSlots(2, jobs.runtime.scope, pump.done)})
    assert ran == []
    assert [each.status().state for each in handles] == ["pending"] * 3
    assert [each.status().attempt for each in handles] == [0] * 3
    assert jobs.driver.claiming.holders() == []


def test_a_queue_that_is_paused_while_the_store_is_away_is_left_by_the_turn_that_is_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = Tabur(connection="memory")

    @jobs.job()
    def note() -> None: ...

    handle = note.dispatch()
    options = WorkOptions(sleep=0.02)
    pump = Pump(jobs.runtime, options, "w1", StoreReporter(jobs.runtime), Silent(), board=Board())
    pump.begin({Isolation.THREAD: ThreadSlots(2, jobs.runtime.scope, pump.done)})
    with monkeypatch.context() as away:
        away.setattr(jobs.driver.claiming, "exchange", _unavailable)
        pump.step()
    pump.leave(["default"])
    pump.step()
    assert handle.status().state == "pending"
    pump.leave([])
    pump.step()
    assert handle.status().state == "processing"


def test_the_time_of_a_job_that_has_ended_is_over_though_the_store_does_not_hear_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its worker would be taken for one that hangs, and be replaced."""
    jobs = Tabur(connection="memory")
    may_end, ended = threading.Event(), threading.Event()

    @jobs.job(timeout=60, isolation="thread")
    def patient() -> None:
        may_end.wait(20)

    def done(run: Run, outcome: Outcome) -> None:
        assert run.deadline is not None
        pump.done(run, outcome)
        ended.set()

    handle = patient.dispatch()
    options = WorkOptions(sleep=0.02)
    pump = Pump(jobs.runtime, options, "w1", StoreReporter(jobs.runtime), Silent(), board=Board())
    pump.begin({Isolation.THREAD: ThreadSlots(2, jobs.runtime.scope, done)})
    pump.step()
    monkeypatch.setattr(jobs.driver.claiming, "exchange", _unavailable)
    pump.step()
    may_end.set()
    assert ended.wait(20)
    pump.step()
    assert handle.status().state == "processing"
    assert [run.deadline for run in pump.running.values()] == [None]


def test_what_was_claimed_long_ago_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine was suspended while the answer was on its way: others have found it lost."""
    jobs = Tabur(connection="memory")
    now, ran = 1000.0, threading.Event()

    @jobs.job()
    def note() -> None:
        ran.set()

    handle = note.dispatch()
    options = WorkOptions(sleep=0.02)
    pump = Pump(
        jobs.runtime,
        options,
        "w1",
        StoreReporter(jobs.runtime),
        Silent(),
        board=Board(),
        clock=lambda: now,
    )
    pump.begin({Isolation.THREAD: ThreadSlots(2, jobs.runtime.scope, pump.done)})
    exchange = jobs.driver.claiming.exchange

    def slowly(turn: Exchange) -> Exchanged:
        nonlocal now
        answer = exchange(turn)
        now += options.adrift + 1
        return answer

    with monkeypatch.context() as suspended:
        suspended.setattr(jobs.driver.claiming, "exchange", slowly)
        pump.step()
    assert not pump.running
    pump.step()
    assert ran.wait(20), "it was released, and claimed anew"
    assert handle.status().attempt <= 1


def _unavailable(_: Exchange) -> Exchanged:
    raise StoreUnavailable("away")
