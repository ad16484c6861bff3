"""The pump and jobs with bonds: cancelled batches, and keys that are held until a job begins."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from tabur import State, Tabur
from tabur.errors import StoreUnavailable
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running.pump import Pump
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.slots import ThreadSlots
from tests.worker.test_pump import Silent, pumping_in_a_thread
from tests.worker.workshop import until


def work(jobs: Tabur) -> None:
    """Until nothing is left."""
    options = WorkOptions(sleep=0.02, stop_when_empty=True)
    pump = Pump(jobs.runtime, options, "w1", StoreReporter(jobs.runtime), Silent(), board=Board())
    pump.run({Isolation.THREAD: ThreadSlots(2, jobs.runtime.scope, pump.done)})


def test_what_a_cancelled_batch_has_not_begun_is_cancelled_without_a_run() -> None:
    jobs = Tabur(connection="memory")
    ran: list[str] = []

    @jobs.job()
    def note(text: str) -> None:
        ran.append(text)

    batch = jobs.batch([note(text="never") for _ in range(5)]).finally_(note(text="finally"))
    cancelled, whole = batch.dispatch(), jobs.batch([note(text="whole")]).dispatch()
    note.dispatch(text="plain")
    assert cancelled.cancel()
    work(jobs)
    assert sorted(ran) == ["finally", "plain", "whole"]
    assert cancelled.status().cancelled == 5
    assert {each.status().attempt for each in cancelled.jobs()} == {0}
    assert whole.status().succeeded


def test_what_runs_in_a_batch_that_is_cancelled_goes_on() -> None:
    jobs = Tabur(connection="memory")
    begun, go_on = threading.Event(), threading.Event()

    @jobs.job()
    def patient() -> None:
        begun.set()
        assert go_on.wait(20)

    handle = jobs.chain(patient(), patient()).dispatch()
    with pumping_in_a_thread(jobs):
        assert begun.wait(20)
        assert handle.cancel()
        go_on.set()
        until(lambda: handle.status().finished)
    status = handle.status()
    assert (status.completed, status.cancelled) == (1, 1)


def test_a_claim_whose_batches_cannot_be_asked_for_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = Tabur(connection="memory")
    ran: list[int] = []

    @jobs.job()
    def note(n: int) -> None:
        ran.append(n)

    inner, asked = jobs.driver.batches.cancelled, []

    def cancelled(batches: Sequence[bytes]) -> frozenset[bytes]:
        asked.append(batches)
        if len(asked) == 1:
            raise StoreUnavailable("not now")
        return inner(batches)

    monkeypatch.setattr(jobs.driver.batches, "cancelled", cancelled)
    handle = jobs.batch([note(n=n) for n in range(3)]).dispatch()
    with pumping_in_a_thread(jobs):
        until(lambda: handle.status().finished)
    assert sorted(ran) == [0, 1, 2]
    assert handle.status().succeeded
    assert {each.status().attempt for each in handle.jobs()} == {1}


@pytest.mark.parametrize("answers", [True, False])
def test_a_key_until_start_is_free_when_the_job_begins(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Tabur(connection="memory")
    begun, go_on = threading.Event(), threading.Event()

    @jobs.job(unique=True, unique_until="start")
    def once() -> None:
        begun.set()
        assert go_on.wait(20)

    @jobs.job(unique=True)
    def held() -> None:
        assert go_on.wait(20)

    if not answers:

        def begin(claims: object) -> None:
            raise StoreUnavailable("not now")

        monkeypatch.setattr(jobs.driver.claiming, "begin", begin)
    first, holding = once.dispatch(), held.dispatch()
    assert once.dispatch().was_skipped
    with pumping_in_a_thread(jobs):
        assert begun.wait(20)
        until(lambda: holding.status().state is State.PROCESSING)
        assert once.dispatch().was_skipped is not answers
        assert held.dispatch().was_skipped
        go_on.set()
        until(lambda: first.status().finished and holding.status().finished)
    if not answers:
        assert not once.dispatch().was_skipped, "free when it has ended"
