"""Middleware in real workers, in each isolation; on SQLite."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import text

from tabur import State
from tabur.model.ids import id_bytes
from tests.worker.workshop import Workshop, reaches, until

#: Each test starts half a dozen processes, and a crowded machine takes its time for that.
pytestmark = pytest.mark.timeout(300)
PATIENCE = 120.0
KINDS = ("loop", "thread", "process")


def start_of(line: str) -> float:
    return float(line.rsplit(maxsplit=1)[-1])


def test_no_two_overlap_wherever_they_run_and_waiting_costs_nothing(shop: Workshop) -> None:
    handles = [
        getattr(shop.module, f"alone_{kind}").dispatch(n=n) for n, kind in enumerate(KINDS * 2)
    ]
    shop.worker("--processes=2")
    for each in handles:
        assert each.wait(timeout=PATIENCE) == "done"
        attempts = shop.jobs.driver.inspection.attempts(id_bytes(each.id))
        assert [one.ending for one in attempts] == ["completed"]
    lines = [line.split()[0] for line in shop.ledger() if line.split()[0] in ("in", "out")]
    assert lines == ["in", "out"] * 6


def test_no_more_than_the_limit_begin_in_any_span(shop: Workshop) -> None:
    handles = [
        getattr(shop.module, f"limited_{kind}").dispatch(n=n) for n, kind in enumerate(KINDS * 3)
    ]
    shop.worker("--processes=2")
    for each in handles:
        assert each.wait(timeout=PATIENCE) == 1, "no attempt was spent"
    began = sorted(start_of(line) for line in shop.ledger("began"))
    # What is limited is when they are let in; between that and here a slow machine adds its own.
    assert began[3] - began[0] > 1
    assert began[-1] - began[0] > 3


def test_a_breaker_opens_for_all_and_closes_when_one_has_tried(shop: Workshop) -> None:
    handles = [
        getattr(shop.module, f"fragile_{kind}").dispatch(n=n) for n, kind in enumerate(KINDS * 4)
    ]
    shop.worker("--processes=2", "--concurrency=2")
    shop.noted("called", 5)  # it has opened, and a trial has failed
    (shop.folder / "up").touch()
    before = len(shop.ledger("called"))
    for each in handles:
        assert each.wait(timeout=PATIENCE) == "answered"
    failed = sum(
        one.ending == "retried"
        for each in handles
        for one in shop.jobs.driver.inspection.attempts(id_bytes(each.id))
    )
    assert len(shop.ledger("called")) == failed + len(handles)
    assert before < len(handles) + 4, "twelve did not try again and again"


def test_a_dead_worker_holds_nobody_up(shop: Workshop) -> None:
    first = shop.worker("--queue=default")
    holder = shop.module.held.dispatch(n=1, mark="first")
    line = shop.noted("held 1 first")[0]
    waiting = shop.module.held.options(queue="other").dispatch(n=1, mark="second")
    second = shop.worker("--queue=other")
    until(lambda: waiting.status().state is State.SCHEDULED, "it waits")
    os.kill(int(line.split()[-1]), 9)
    first.stop()
    shop.noted("held 1 second")
    (shop.folder / "go-1").touch()
    reaches(waiting, State.COMPLETED)
    second.stop()
    assert holder.status().state is not State.COMPLETED


def test_a_process_that_dies_leaves_the_key_to_the_next(shop: Workshop) -> None:
    deadly = shop.module.dies.dispatch(die=True)
    shop.worker()
    reaches(deadly, State.FAILED)
    assert shop.module.dies.dispatch(die=False).wait(timeout=PATIENCE) == "alive"


def test_other_keys_are_not_hindered_and_skip_does_not_wait(shop: Workshop) -> None:
    shop.worker()
    for n in (1, 2):
        shop.module.held.dispatch(n=n)
    shop.noted("held", 2)
    running = shop.module.once.dispatch(n=3)
    shop.noted("once 3")
    skipped = shop.module.once.dispatch(n=4)
    reaches(skipped, State.COMPLETED)
    assert skipped.result() is None
    for n in (1, 2, 3):
        (shop.folder / f"go-{n}").touch()
    assert running.wait(timeout=PATIENCE) == "ran"
    assert not shop.ledger("once 4")


def test_a_whole_job_in_its_transaction_with_what_it_dispatches(shop: Workshop) -> None:
    with shop.module.engine.begin() as connection:
        connection.execute(text("CREATE TABLE invoices (n INTEGER)"))
    shop.worker()
    handle = shop.module.invoice.dispatch(n=7)
    assert handle.wait(timeout=PATIENCE) == {"invoice": 7}
    assert shop.noted("child", 2) == ["child 7", "child 7"], "of the first attempt none"
    assert shop.ledger("invoice") == ["invoice 7 1", "invoice 7 2"]
    with shop.module.engine.connect() as connection:
        assert list(connection.execute(text("SELECT n FROM invoices"))) == [(7,)]
    shop.module.engine.dispose()


def test_what_is_around_all_jobs_runs_where_they_run(shop: Workshop) -> None:
    for kind in KINDS:
        getattr(shop.module, f"limited_{kind}").dispatch(n=0)
    shop.module.child.dispatch(n=1)
    shop.worker()
    around = [line.split() for line in shop.noted("around", 4)]
    pids = {name: pid for _, name, pid in around}
    assert set(pids) == {"limited_loop", "limited_thread", "limited_process", "child"}
    assert pids["limited_loop"] == pids["limited_thread"] == pids["child"]
    assert pids["limited_process"] != pids["child"]


@pytest.mark.parametrize("signal", ["", "stop"])
def test_a_worker_tells_what_it_does_until_its_end(shop: Workshop, signal: str) -> None:
    shop.module.too_long.dispatch()
    shop.module.child.dispatch(n=1)
    if signal:
        worker = shop.worker()
        shop.noted("heard JobFailed too_long")
        worker.stop()
        worker.ended()
    else:
        shop.work()
    heard = [line.removeprefix("heard ").strip() for line in shop.ledger("heard")]
    # The two were dispatched in this process, where the module is loaded too.
    assert heard[:2] == ["JobQueued too_long", "JobQueued child"]
    assert heard[2] == "WorkerStarting default"
    assert heard[-1] == f"WorkerStopping default {'interrupted' if signal else 'empty'}"
    assert sorted(heard[3:-1]) == [
        "JobFailed too_long",
        "JobProcessed child",
        "JobProcessing child",
        "JobProcessing too_long",
        "JobTimedOut too_long",
    ]
    assert heard.index("JobTimedOut too_long") < heard.index("JobFailed too_long")
