"""What a supervisor sees of its children, and what it does about it."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tabur import JobFailed, State
from tabur.errors import StoreUnavailable
from tabur.model.outcome import Ending
from tabur.model.records import Attempt
from tests.worker.test_supervisor import running, supervisor
from tests.worker.workshop import Workshop, reaches, until

MORE = """
import ctypes


@jobs.job(timeout=0.5, isolation="thread", tries=2)
def freezes(ctx: JobContext) -> None:
    note("freezes", ctx.attempt, os.getpid())
    if len(open(os.environ["LEDGER"]).read().split("freezes")) == 2:
        ctypes.PyDLL(None).sleep(600)  # in C, and the lock stays held


@jobs.job()
def leaves() -> None:
    note("leaves", os.getpid())
    os._exit(0)


@jobs.job()
async def steps(ctx: JobContext) -> str:
    note("steps", ctx.attempt)
    while not ctx.stopping:
        await asyncio.sleep(0.02)
    note("steps-stopping")
    ctx.release()


@jobs.job(isolation="process")
def steps_alone(ctx: JobContext) -> str:
    note("steps_alone", ctx.attempt)
    while not ctx.stopping:
        time.sleep(0.02)
    note("steps_alone-stopping")
    return "in time"
"""


@pytest.fixture
def shop(shop: Workshop) -> Workshop:
    (file,) = shop.folder.glob("workshop_*.py")
    file.write_text(file.read_text("utf-8") + MORE, "utf-8")
    shop.reload()
    return shop


def history(shop: Workshop, job_id: str) -> list[Attempt]:
    driver = shop.jobs.driver
    return list(driver.inspection.attempts(bytes.fromhex(job_id.replace("-", ""))))


def test_a_frozen_process_is_killed_and_the_job_that_froze_it_runs_alone(shop: Workshop) -> None:
    neighbour = shop.module.patient.dispatch(seconds=0.2)
    reaches_soon = shop.module.patient_light.dispatch(seconds=1.0)
    handle = shop.module.freezes.dispatch()
    worker = shop.worker("--concurrency=5")
    reaches(handle, State.COMPLETED)
    first, second = shop.ledger("freezes")
    assert first.split()[1:2] == second.split()[1:2] == ["1"], "no attempt was spent"
    assert first.split()[2] != second.split()[2]
    assert "it is frozen, with 1 of its jobs over their time" in worker.output
    crashed, completed = history(shop, handle.id)
    assert (crashed.ending, completed.ending) == (Ending.CRASHED, Ending.COMPLETED)
    assert crashed.error is not None
    assert "frozen" in crashed.error.message
    for other in (neighbour, reaches_soon):
        reaches(other, State.COMPLETED)
        assert [each.ending for each in history(shop, other.id)] == [Ending.COMPLETED]


def test_a_process_that_a_job_ended_with_code_0_has_crashed_all_the_same(shop: Workshop) -> None:
    handle = shop.module.leaves.dispatch()
    worker = shop.worker()
    with pytest.raises(JobFailed) as failed:
        handle.wait(40)
    assert failed.value.error_type.endswith("JobCrashed")
    assert len(shop.ledger("leaves")) == 3
    assert "A worker process ended (exit code 0); its jobs run again" in worker.output
    endings = [(each.ending, each.worker) for each in history(shop, handle.id)]
    # The third time in a process of its own, which is enough.
    assert [ending for ending, _ in endings] == [Ending.CRASHED, Ending.CRASHED, Ending.FAILED]
    assert all(name and name.startswith(os.uname().nodename[:27]) for _, name in endings)


def test_a_worker_that_others_found_lost_ends_what_it_runs_and_begins_anew(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABUR_BEAT", "0.2")
    monkeypatch.setenv("TABUR_LOST", "60")
    handle = shop.module.patient.dispatch()
    worker = shop.worker()
    shop.noted("patient ")
    (child,) = shop.children()
    shop.jobs.driver.workers.remove(child.id)
    shop.noted("patient ", 2)
    assert "others have found it lost" in worker.output
    assert not psutil.pid_exists(child.pid)
    assert handle.status().attempt == 1
    (successor,) = shop.children()
    assert successor.id != child.id
    handle.cancel()
    reaches(handle, State.CANCELLED)


@pytest.mark.parametrize("stopping", [False, True])
def test_who_cannot_beat_ends_what_it_runs_before_others_take_it(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    """Also in a stop, whose grace would be longer."""
    said: list[str] = []
    one = supervisor(shop, said, beat=0.1, lost=1.5)
    workers = shop.jobs.driver.workers
    beat, cut_off = workers.beat, threading.Event()

    def beat_unless_cut_off(alive: list[str]) -> int:
        if cut_off.is_set():
            raise StoreUnavailable("no route to host")
        return beat(alive)

    monkeypatch.setattr(workers, "beat", beat_unless_cut_off)
    with running(one):
        handle = shop.module.patient.dispatch()
        shop.noted("patient ")
        (child,) = shop.children()
        cut_off.set()
        if stopping:
            one.stop("SIGTERM")
        until(lambda: not psutil.pid_exists(child.pid))
        assert any("takes no beat" in each for each in said)
        assert handle.status().attempt <= 1
        cut_off.clear()
        if not stopping:
            shop.noted("patient ", 2)
            assert shop.ledger("patient ") == ["patient 1", "patient 1"]
        assert history(shop, handle.id) == [], "nobody is to blame"


def test_a_job_of_many_steps_may_end_early_when_its_worker_stops(shop: Workshop) -> None:
    light, alone = shop.module.steps.dispatch(), shop.module.steps_alone.dispatch()
    worker = shop.worker()
    shop.noted("steps ")
    shop.noted("steps_alone ")
    worker.stop()
    assert worker.ended() < 20  # without it, the grace of 30 s
    assert shop.ledger("steps-stopping")
    assert alone.result() == "in time"
    status = light.status()
    assert (status.state, status.attempt) == (State.PENDING, 0)
    assert "Waiting up to 30 s for 2 jobs: " in worker.output
    assert f"steps {light.id}" in worker.output
    assert "Stopped: SIGTERM." in worker.output


def test_what_is_not_known_here_is_left_to_others_and_then_fails(shop: Workshop) -> None:
    (file,) = shop.folder.glob("workshop_*.py")
    old = file.read_text("utf-8")
    file.write_text(old + "\n\n@jobs.job()\ndef novel() -> str:\n    return 'known'\n", "utf-8")
    handle = shop.reload().novel.dispatch()
    file.write_text(old, "utf-8")
    worker = shop.worker("--unknown-for=300")
    until(lambda: "novel is not known here" in worker.output)
    until(lambda: handle.status().state is State.SCHEDULED)
    status = handle.status()
    assert (status.attempt, history(shop, handle.id)) == (0, [])
    file.write_text(old + "\n\n@jobs.job()\ndef novel() -> str:\n    return 'known'\n", "utf-8")
    shop.worker("--unknown-for=300")  # one of the version after
    reaches(handle, State.COMPLETED)
    assert handle.status().attempt == 1


def test_patience_with_what_nobody_knows_has_an_end(shop: Workshop) -> None:
    (file,) = shop.folder.glob("workshop_*.py")
    old = file.read_text("utf-8")
    file.write_text(
        old + "\n\n@jobs.job(version=2)\ndef quick2(n: int, m: int = 0) -> None: ...\n", "utf-8"
    )
    handle = shop.reload().quick2.dispatch(n=1, m=2)
    file.write_text(old + "\n\n@jobs.job()\ndef quick2(n: int) -> None: ...\n", "utf-8")
    shop.worker("--unknown-for=1")
    with pytest.raises(JobFailed, match="version 2 of the arguments of quick2"):
        handle.wait(40)


def test_a_pause_is_obeyed_within_seconds_and_so_is_its_end(shop: Workshop) -> None:
    driver = shop.jobs.driver
    worker = shop.worker("--queue=default,high")
    shop.module.quick.dispatch(n=1)
    shop.noted("quick 1")
    shop.run("queue:pause", "default", "--reason=stock-taking")
    until(lambda: "Paused: [default] (stock-taking)." in worker.output)
    handle = shop.module.quick.dispatch(n=2)
    shop.module.urgent.dispatch(n=1)
    shop.noted("urgent 1")
    assert handle.status().state is State.PENDING
    shop.run("queue:continue", "default")
    shop.noted("quick 2")
    assert "Nothing is paused any more." in worker.output
    assert driver.control.signals().pauses == ()


def test_a_restored_store_is_held_until_somebody_has_looked(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yesterday's backup: its moment is older than the one that this host has seen."""
    run = shop.folder / "run"
    monkeypatch.setenv("TABUR_RUN", str(run))
    shop.jobs.driver.control.advance()
    shop.work()
    with closing(sqlite3.connect(shop.folder / "jobs.sqlite3")) as restored, restored:
        restored.execute("UPDATE job_signals SET value = value - 86400000000 WHERE name = 'moment'")
    handle = shop.module.quick.dispatch(n=3)
    worker = shop.worker()
    until(lambda: "on hold: " in worker.output)
    assert "a backup that was restored" in worker.output
    assert handle.status().state is State.PENDING
    shop.run("queue:release-hold")
    shop.noted("quick 3")


def test_the_run_folder_goes_with_its_supervisor(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shop.folder / "run"
    monkeypatch.setenv("TABUR_RUN", str(run))
    shop.module.quick.dispatch()
    worker = shop.worker()
    shop.noted("quick")
    (folder,) = (path for path in run.iterdir() if path.is_dir())
    assert {".json", ".board"} <= {path.suffix for path in folder.iterdir()}
    worker.stop()
    worker.ended()
    assert not folder.exists()


def test_a_run_folder_that_cannot_be_made_hinders_no_work(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TABUR_RUN", str(tmp_path / "file"))
    handle = shop.module.quick.dispatch()
    worker = shop.work()
    assert handle.status().state is State.COMPLETED
    assert "cannot be written" in worker.output
