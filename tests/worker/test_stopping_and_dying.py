"""Workers that are stopped, killed, or hung by their jobs."""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest

from tabur import JobFailed, State
from tests.worker.workshop import Workshop, reaches, until

# stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_runs_finish(shop: Workshop, number: signal.Signals) -> None:
    running = shop.module.patient.dispatch(seconds=1.0)
    worker = shop.worker("--concurrency=1")
    shop.noted("patient")
    later = shop.module.quick.dispatch()
    worker.process.send_signal(number)
    worker.ended()
    assert running.status().state is State.COMPLETED
    assert later.status().state is State.PENDING
    assert shop.children() == []
    assert "Traceback" not in worker.output


def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(shop: Workshop) -> None:
    running = shop.module.patient.dispatch()
    light = shop.module.patient_light.dispatch()
    worker = shop.worker()
    shop.noted("patient ")
    shop.noted("patient_light ")
    worker.stop()
    time.sleep(0.3)  # two signals of one kind that come together are one
    worker.stop()
    assert worker.ended() < 10
    for handle in (running, light):
        status = handle.status()
        assert (status.state, status.attempt) == (State.PENDING, 0)


def test_what_does_not_finish_within_the_grace_runs_again_uncharged(shop: Workshop) -> None:
    running = shop.module.patient.dispatch()
    worker = shop.worker("--grace=0.5")
    shop.noted("patient")
    worker.stop()
    assert worker.ended() < 15
    status = running.status()
    assert (status.state, status.attempt) == (State.PENDING, 0)


def test_restart_ends_every_worker_after_its_jobs(shop: Workshop) -> None:
    running = shop.module.patient.dispatch(seconds=1.0)
    workers = [shop.worker(), shop.worker()]
    shop.noted("patient")
    until(lambda: len(shop.children()) == 2)
    shop.jobs.driver.control.restart()
    for worker in workers:
        worker.ended()
        assert "Restart asked for" in worker.output
    assert running.status().state is State.COMPLETED
    shop.module.quick.dispatch()
    shop.work()  # one that starts afterwards is not meant
    assert shop.ledger("quick") == ["quick 0"]


# dying


def test_jobs_of_a_killed_child_run_again_soon_and_uncharged(shop: Workshop) -> None:
    handles = [shop.module.patient.dispatch(), shop.module.patient_light.dispatch(seconds=60)]
    shop.worker()
    shop.noted("patient ")
    shop.noted("patient_light ")
    (child,) = shop.children()
    os.kill(child.pid, signal.SIGKILL)
    killed = time.monotonic()
    shop.noted("patient ", 2)
    shop.noted("patient_light ", 2)
    assert time.monotonic() - killed < 10  # the target is 2 s; a busy machine may be slower
    assert shop.ledger("patient ") == ["patient 1", "patient 1"]
    assert [handle.status().attempt for handle in handles] == [1, 1]
    for handle in handles:
        handle.cancel()


def test_a_worker_whose_children_die_young_goes_on(shop: Workshop) -> None:
    """The next one starts after a pause, in which there is none at all."""
    worker = shop.worker()
    for _ in range(3):
        (child,) = until(shop.children)
        os.kill(child.pid, signal.SIGKILL)
        until(lambda: child.id not in {each.id for each in shop.children()})  # noqa: B023  # at once
    shop.module.quick.dispatch(n=1)
    shop.noted("quick")
    assert worker.process.poll() is None


def test_what_a_killed_supervisor_leaves_stops_by_itself(shop: Workshop) -> None:
    shop.module.patient_alone.dispatch()
    worker = shop.worker("--grace=0.2")
    pid = int(shop.noted("patient_alone")[0].split()[2])
    (child,) = shop.children()
    worker.process.kill()
    worker.process.wait()
    until(lambda: not psutil.pid_exists(child.pid))
    until(lambda: not psutil.pid_exists(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process can be tied to another")
def test_a_process_that_a_job_froze_ends_with_its_child_though_nobody_is_left_to_kill_it(
    shop: Workshop,
) -> None:
    shop.module.freezes_alone.dispatch()
    worker = shop.worker()
    pid = int(shop.noted("freezes_alone")[0].split()[1])
    (child,) = shop.children()
    worker.process.kill()
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(pid), "it is gone", ceiling=20)


def test_a_job_that_kills_its_process_is_poison_after_three_and_harms_no_neighbour(
    shop: Workshop,
) -> None:
    neighbour = shop.module.patient.dispatch(seconds=1.0)
    deadly = shop.module.dies.dispatch()
    shop.jobs.dispatch_many(shop.module.quick(n=n) for n in range(20))
    worker = shop.worker()
    with pytest.raises(JobFailed) as failed:
        deadly.wait(40)
    assert failed.value.error_type.endswith("JobCrashed")
    assert len(shop.ledger("dies")) == 3
    assert neighbour.wait(40) == "done"
    assert neighbour.status().attempt == 1
    until(lambda: len({*shop.ledger("quick")}) == 20)
    assert "killed by SIGSEGV" in worker.output


@pytest.mark.parametrize(
    ("job", "error"),
    [("Deadly", "JobCrashed"), ("Endless", "JobTimedOut"), ("EndlessLight", "JobTimedOut")],
)
def test_failed_is_called_after_crashes_and_timeouts_too(
    shop: Workshop, job: str, error: str
) -> None:
    handle = getattr(shop.module, job)().dispatch()
    shop.worker()
    with pytest.raises(JobFailed) as failed:
        handle.wait(40)
    assert failed.value.error_type.endswith(error)
    assert shop.ledger("failed()") == [f"failed() {job} {error}"]


# timeouts


@pytest.mark.parametrize("job", ["slow_light", "loops", "hangs_alone", "ignores_term"])
def test_what_is_over_its_time_is_ended(shop: Workshop, job: str) -> None:
    neighbour = shop.module.patient.dispatch(seconds=3.0)
    handle = getattr(shop.module, job).dispatch()
    shop.worker()
    shop.noted(job)
    began = time.monotonic()
    with pytest.raises(JobFailed) as failed:
        handle.wait(40)
    assert time.monotonic() - began < 12  # 0.4 s of timeout and 2 s to end it, on an idle machine
    assert failed.value.error_type.endswith("JobTimedOut")
    assert neighbour.wait(40) == "done"
    assert len(shop.ledger("patient ")) == 1
    pids = [int(line.split()[1]) for line in shop.ledger(job) if " " in line]
    until(lambda: not any(map(psutil.pid_exists, pids)))


def test_loading_the_app_is_not_the_jobs_time(shop: Workshop) -> None:
    (file,) = shop.folder.glob("workshop_*.py")
    loaded = file.read_text("utf-8")
    slow = """
import __main__
if __main__.__spec__ and __main__.__spec__.name == "tabur.worker.isolated":
    time.sleep(1.5)

@jobs.job(timeout=0.5)
def brief() -> str:
    return "in time"
"""
    file.write_text(loaded + slow, "utf-8")
    handle = shop.reload().brief.dispatch()
    shop.worker()
    assert handle.wait(40) == "in time"


def test_the_workers_own_timeout(shop: Workshop) -> None:
    handle = shop.module.patient.dispatch()
    shop.worker("--timeout=0.4")
    with pytest.raises(JobFailed, match="longer than its timeout"):
        handle.wait(40)


def test_no_timeout_at_all(shop: Workshop) -> None:
    handle = shop.module.patient.dispatch(seconds=0.3)
    shop.work("--timeout=0")
    assert handle.result() == "done"


def test_a_hung_thread_costs_its_process_and_neighbours_run_again_uncharged(
    shop: Workshop,
) -> None:
    neighbour = shop.module.patient.dispatch(seconds=60)
    hung = shop.module.hangs_in_thread.dispatch()
    worker = shop.worker("--grace=0.5")
    shop.noted("patient ")
    (child,) = shop.children()
    with pytest.raises(JobFailed, match="timeout"):
        hung.wait(40)
    assert shop.noted("patient ", 2) == ["patient 1", "patient 1"]
    assert shop.ledger("hangs_in_thread") == ["hangs_in_thread"]
    assert [each.pid for each in shop.children()] != [child.pid]
    neighbour.cancel()
    reaches(neighbour, State.CANCELLED)
    worker.stop()
    worker.ended()
