"""`failed()` of jobs that hangs, or ends its process: it may not hold up others, or be for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from tabur import Job, JobContext, JobHandle, State, Tabur
from tabur.drivers.contract import Exchange
from tabur.model.ids import id_bytes, new_token
from tabur.model.outcome import Ended, Outcome, Transition
from tabur.model.records import Crash, ErrorInfo
from tabur.model.states import Isolation
from tabur.worker.running.finish import Finished, refused
from tabur.worker.running.hooks import PATIENCE, UNTIL_SILENCE, Hooks
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import Refused
from tests.worker.workshop import Workshop, make_workshop, reaches, until

JOBS = """
import asyncio
import os
import time

from tabur import Job, JobContext, Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


@jobs.job()
def plain_failure() -> None:
    raise ValueError("as always")


@jobs.job()
async def neighbour(seconds: float) -> None:
    note("neighbour")
    await asyncio.sleep(seconds)


@jobs.register
class HangsInFailed(Job[None]):
    def handle(self, ctx: JobContext) -> None:
        raise ValueError("as always")

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note("failed()")
        time.sleep(600)


@jobs.register
class DiesInFailed(Job[None]):
    def handle(self, ctx: JobContext) -> None:
        raise ValueError("as always")

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note("failed()")
        os._exit(1)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, JOBS, monkeypatch)
    try:
        made.load()
        yield made
    finally:
        made.close()


def test_those_that_hang_keep_no_other_failure_from_being_recorded(shop: Workshop) -> None:
    hang = [shop.module.HangsInFailed().dispatch() for _ in range(3)]
    worker = shop.worker("--grace=1")
    shop.noted("failed()", 2)
    failing = shop.module.plain_failure.dispatch()
    reaches(failing, State.FAILED)
    worker.stop()
    until(lambda: "jobs: HangsInFailed" in worker.output, "it says what it waits for")
    worker.ended()
    # Two had been called, and the third had not.
    states = sorted(each.status().state for each in hang)
    assert states == [State.FAILED, State.FAILED, State.PENDING]
    assert len(shop.ledger("failed()")) == 2


def test_one_that_ends_its_process_is_not_called_for_ever_and_harms_no_neighbour(
    shop: Workshop,
) -> None:
    deadly, beside = (
        shop.module.DiesInFailed().dispatch(),
        shop.module.neighbour.dispatch(seconds=1),
    )
    _crash(shop, {deadly: UNTIL_SILENCE - 1, beside: 1})
    worker = shop.worker()
    reaches(deadly, State.FAILED)
    reaches(beside, State.COMPLETED)
    worker.stop()
    worker.ended()
    assert shop.ledger("failed()") == ["failed()"], "the last time"
    assert _endings(shop, deadly) == ["crashed"] * UNTIL_SILENCE + ["failed"]
    assert _endings(shop, beside) == ["crashed", "completed"], "it ran alone, and was not to blame"


def test_one_that_has_run_for_too_long_is_waited_for_no_more() -> None:
    jobs, over, begun = Tabur(connection="memory"), threading.Event(), threading.Event()

    @jobs.register
    class Hangs(Job[None]):
        def handle(self, ctx: JobContext) -> None: ...

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            begun.set()
            over.wait(20)

    Hangs().dispatch()
    finished, move = _failed_for_good(jobs)
    now, woken = 100.0, threading.Event()
    with ThreadPoolExecutor(1) as executor:
        hooks = Hooks(jobs.runtime.scope, clock=lambda: now, wake=woken.set, executor=executor)
        hooks.add(finished, move)
        hooks.begin()
        assert begun.wait(20)
        assert hooks.give_up(now + PATIENCE - 1) == []
        assert hooks.take() == []
        assert hooks.give_up(now + PATIENCE + 1) == [finished]
        assert woken.is_set()
        assert hooks.take() == [(finished, move)]
        assert not hooks
        over.set()
    assert hooks.take() == [], "each is recorded once"


def test_who_has_lost_the_claim_does_not_call_it() -> None:
    jobs = Tabur(connection="memory")
    called: list[str] = []

    @jobs.register
    class Told(Job[None]):
        def handle(self, ctx: JobContext) -> None: ...

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            called.append(ctx.job_id)

    held, lost = Told().dispatch(), Told().dispatch()
    ends = [_failed_for_good(jobs), _failed_for_good(jobs)]
    jobs.driver.claiming.release_token(ends[1][1].token)  # it was found lost
    with ThreadPoolExecutor(1) as executor:
        hooks = Hooks(jobs.runtime.scope, clock=monotonic, wake=lambda: None, executor=executor)
        for finished, move in ends:
            hooks.add(finished, move)
        hooks.begin()
    assert called == [held.id], f"and not that of {lost.id}"
    assert hooks.take() == ends, "the store refuses the settle of the other"


def _crash(shop: Workshop, times: dict[JobHandle[None], int]) -> None:
    """As if workers had died under these jobs so often."""
    claiming = shop.jobs.driver.claiming
    for n in range(max(times.values())):
        slots = dict.fromkeys(Isolation, 9)
        claiming.exchange(Exchange("w1", token=new_token(), queues=("default",), slots=slots))
        blamed = frozenset(id_bytes(each.id) for each, count in times.items() if n < count)
        claiming.release_worker("w1", crash=Crash(ErrorInfo("JobCrashed", "killed"), blamed))


def _endings(shop: Workshop, handle: JobHandle[None]) -> list[str]:
    attempts = shop.jobs.driver.inspection.attempts(id_bytes(handle.id))
    return [each.ending for each in attempts]


def _failed_for_good(jobs: Tabur) -> tuple[Finished, Transition]:
    turn = Exchange("w1", token=new_token(), queues=("default",), slots={Isolation.THREAD: 1})
    (job,) = jobs.driver.claiming.exchange(turn).claimed
    outcome = Outcome(Ended.REJECTED, None, 0, permanent=True)
    why = Refused(outcome, ValueError("as always"), jobs.registry.get(job.name))
    reporter = StoreReporter(jobs.runtime, "w1")
    finished = refused(job, why, reporter)
    return finished, finished.transition("w1", 0, reporter)
