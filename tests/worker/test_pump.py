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
from tabur.model.ids import new_token
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running import pump as pumping
from tabur.worker.running.pump import Pump
from tabur.worker.running.reports import StoreReporter
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
    monkeypatch.setattr(pumping, "OWN_EVERY", 0.05)
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
