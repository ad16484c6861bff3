"""Processes that jobs start by themselves, and those that a worker starts: none by fork."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tabur import State
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.outcome import Ended
from tabur.model.states import Isolation
from tabur.worker.options import WorkOptions
from tabur.worker.running.channel import Hello
from tabur.worker.running.processes import JobProcess
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import prepare
from tests.worker.workshop import Worker, Workshop, reaches, until

MORE = """
import multiprocessing
import subprocess
from concurrent.futures import ProcessPoolExecutor

SPAWN = multiprocessing.get_context("spawn")


def square(n: int) -> int:
    return n * n


def _spawns(n: int) -> list[int]:
    with SPAWN.Pool(2) as pool:
        squares = pool.map(square, range(n))
    with ProcessPoolExecutor(1, mp_context=SPAWN) as executor:
        return squares + [executor.submit(square, n).result()]


def _reads_input() -> str:
    done = subprocess.run(["cat"], stdout=subprocess.PIPE, timeout=20, check=True)
    return done.stdout.decode()


def _ends_what_it_started() -> list[int]:
    codes = []
    for end in (subprocess.Popen.terminate, lambda each: each.send_signal(signal.SIGINT)):
        started = subprocess.Popen(["sleep", "60"])
        end(started)
        try:
            codes.append(started.wait(20))
        finally:
            started.kill()
    return codes


@jobs.job(isolation="thread")
def spawns_in_thread(n: int) -> list[int]:
    return _spawns(n)


@jobs.job(isolation="process")
def spawns_in_process(n: int) -> list[int]:
    return _spawns(n)


@jobs.job(isolation="thread")
def reads_in_thread() -> str:
    return _reads_input()


@jobs.job(isolation="process")
def reads_in_process() -> str:
    return _reads_input()


@jobs.job(isolation="thread")
def ends_in_thread() -> list[int]:
    return _ends_what_it_started()


@jobs.job(isolation="process")
def ends_in_process() -> list[int]:
    return _ends_what_it_started()
"""

INSIDE = pytest.mark.parametrize("isolation", ["thread", "process"])


@pytest.fixture
def shop(shop: Workshop) -> Workshop:
    (file,) = shop.folder.glob("workshop_*.py")
    file.write_text(file.read_text("utf-8") + MORE, "utf-8")
    shop.reload()
    return shop


@INSIDE
def test_a_job_may_use_multiprocessing(shop: Workshop, isolation: str) -> None:
    handle = getattr(shop.module, f"spawns_in_{isolation}").dispatch(n=4)
    shop.work()
    assert handle.result() == [0, 1, 4, 9, 16]


@INSIDE
def test_what_reads_input_finds_none_and_takes_no_orders_away(
    shop: Workshop, isolation: str
) -> None:
    handle = getattr(shop.module, f"reads_in_{isolation}").dispatch()
    worker = shop.worker()
    reaches(handle, State.COMPLETED)
    assert handle.result() == ""
    worker.stop()
    worker.ended()


@INSIDE
def test_what_a_job_starts_can_be_ended_by_it(shop: Workshop, isolation: str) -> None:
    """A signal that is ignored here would be ignored there too."""
    handle = getattr(shop.module, f"ends_in_{isolation}").dispatch()
    shop.work()
    assert handle.result() == [-15, -2]


# none by fork

HOOK = """
import os
import sys

_NOTES = os.open(os.environ["FORKS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _note(event, arguments):
    if event in ("os.fork", "os.forkpty", "subprocess.Popen"):
        os.write(_NOTES, f"{event} {' '.join(sys.orig_argv)}\\n".encode())


sys.addaudithook(_note)
os.write(_NOTES, f"began {' '.join(sys.orig_argv)}\\n".encode())
"""


@pytest.fixture
def forks(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What each Python process that is started notes of the processes that it starts."""
    (shop.folder / "hook").mkdir()
    (shop.folder / "hook" / "sitecustomize.py").write_text(HOOK, "utf-8")
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [f"{shop.folder}/hook", before])))
    notes = shop.folder / "forks.txt"
    monkeypatch.setenv("FORKS", str(notes))
    return notes


def forked(notes: Path) -> list[str]:
    return [line for line in notes.read_text("utf-8").splitlines() if line.startswith("os.fork")]


def _has_said(worker: Worker, words: str) -> bool:
    return words in worker.output


@pytest.mark.timeout(240)
def test_nothing_is_ever_forked(shop: Workshop, forks: Path) -> None:
    """With threads about, a fork copies locks that nobody will open."""
    worker = shop.worker("--grace=0.5")
    module = shop.module
    ends = {
        module.quick.dispatch(): State.COMPLETED,
        module.light.dispatch(): State.COMPLETED,
        module.reports_alone.dispatch(): State.COMPLETED,
        module.hangs_alone.dispatch(): State.FAILED,
        module.ignores_term.dispatch(): State.FAILED,
        module.slow_light.dispatch(): State.FAILED,
        module.spawns_in_thread.dispatch(n=2): State.COMPLETED,
        module.spawns_in_process.dispatch(n=2): State.COMPLETED,
    }
    for handle, state in ends.items():
        reaches(handle, state)
    for job, cost in ((module.hangs_in_thread, "replaced: "), (module.dies, "killed by SIGSEGV")):
        # Each costs a process or several, which note all that they start.
        reaches(job.dispatch(), State.FAILED, ceiling=90.0)
        until(partial(_has_said, worker, cost), cost)
    worker.stop()
    worker.ended()
    noted = forks.read_text("utf-8")
    for process in ("-m tabur queue:work", "-m tabur.worker.child", "-m tabur.worker.isolated"):
        assert noted.count(f"began {sys.executable} {process}"), noted
    assert noted.count(f"began {sys.executable} -m tabur.worker.child") >= 3
    assert f"subprocess.Popen {sys.executable} -m tabur queue:work" in noted
    assert "spawn_main" in noted, "those of multiprocessing"
    assert forked(forks) == []


def test_a_fork_would_be_noted(shop: Workshop, forks: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import os; os.fork() or os._exit(0)"],
        env=os.environ | shop.environment,
        check=True,
    )
    assert len(forked(forks)) == 1


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_where_no_process_can_be_started_its_jobs_are_left_to_others_until_one_can(
    shop: Workshop,
) -> None:
    worker = shop.worker()
    shop.module.hangs_alone.dispatch()
    shop.noted("hangs_alone")  # in the process that was started ahead
    (child,) = (psutil.Process(each.pid) for each in shop.children())
    enough = resource.prlimit(child.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (child.num_fds() + 1, enough[1]))
    until(lambda: "No process for jobs can be started" in worker.output)
    alone, beside = shop.module.reports_alone.dispatch(), shop.module.quick.dispatch()
    reaches(beside, State.COMPLETED)
    reaches(alone, State.SCHEDULED)
    resource.prlimit(child.pid, resource.RLIMIT_NOFILE, enough)
    reaches(alone, State.COMPLETED)
    assert alone.status().attempt == 1
    worker.stop()
    worker.ended()


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_charged_to_no_job(
    shop: Workshop,
) -> None:
    worker = shop.worker("--concurrency=1")
    first = shop.module.reports_alone.dispatch()
    reaches(first, State.COMPLETED)
    (child,) = (psutil.Process(each.pid) for each in shop.children())
    idle = child.children()
    for each in idle:
        each.kill()
    until(lambda: all(each.status() == psutil.STATUS_ZOMBIE for each in idle))
    second = shop.module.reports_alone.dispatch()
    reaches(second, State.COMPLETED)
    worker.stop()
    worker.ended()
    assert "CRASHED" not in worker.output


def test_who_is_told_to_end_too_late_takes_no_other_job_along(shop: Workshop) -> None:
    """The time of a job was over at the very moment at which it ended."""
    shop.module.reports_alone.dispatch()
    runtime = shop.jobs.runtime
    turn = Exchange("w1", token=new_token(), queues=("default",), slots={Isolation.PROCESS: 1})
    (job,) = runtime.driver.claiming.exchange(turn).claimed
    reporter = StoreReporter(runtime, "w1")
    run = prepare(job, runtime.registry, WorkOptions(), reporter, None)
    process = JobProcess(Hello(f"{shop.name}:jobs", sys.path))
    try:
        assert process.perform(run, reporter).ended is Ended.COMPLETED
        process.end(run)
        assert not process.worn
        assert process.perform(run, reporter).ended is Ended.COMPLETED
    finally:
        process.close()
