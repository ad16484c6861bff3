"""The pump beside a store that remembers a claim whose answer never came."""

from __future__ import annotations

import threading
from time import monotonic, sleep

import pytest

from tabur import Tabur
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.states import Isolation
from tabur.worker import pump as pumping
from tabur.worker.options import WorkOptions
from tabur.worker.pump import Pump
from tabur.worker.reports import StoreReporter
from tabur.worker.slots import ThreadSlots


class Silent:
    def started(self, runs: object) -> None: ...

    def settled(self, ends: object) -> None: ...


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
    options = WorkOptions(sleep=0.02)
    pump = Pump(jobs.runtime, options, "w1", StoreReporter(jobs.runtime), Silent())
    slots = ThreadSlots(2, jobs.runtime.scope, pump.done)
    thread = threading.Thread(target=pump.run, args=({Isolation.THREAD: slots},))
    thread.start()
    try:
        _until(lambda: slow.status().state == "processing")
        # The store has answered a claim of this worker that the worker never heard of.
        lost = patient.options(queue="other").dispatch()
        claiming = jobs.driver.claiming
        turn = Exchange("w1", token=new_token(), queues=("other",), slots={Isolation.THREAD: 1})
        assert len(claiming.exchange(turn).claimed) == 1
        _until(lambda: lost.status().state == "pending")
        assert slow.status().state == "processing", "what runs is no strange claim"
        assert len(claiming.held("w1")) == 1
    finally:
        started.set()
        pump.stop("test")
        thread.join(20)
    assert slow.status().state == "completed"


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = monotonic() + 20
    while not condition():
        assert monotonic() < deadline
        sleep(0.01)
