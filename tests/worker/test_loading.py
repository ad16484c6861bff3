"""An app that cannot be loaded any more is no fault of the jobs that wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from tabur import Tabur
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.outcome import Ended
from tabur.model.states import Isolation
from tabur.worker.options import WorkOptions
from tabur.worker.running import processes
from tabur.worker.running.channel import Hello
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import prepare
from tests.worker.workshop import until

APP = """
from tabur import Tabur
jobs = Tabur(database_url="sqlite:///{file}")

@jobs.job(timeout=30)
def report() -> str:
    return "done"
"""

SLOW = """
import sys, time
if "tabur.worker.isolated" in " ".join(sys.orig_argv): time.sleep(60)
"""


def test_a_job_is_not_charged_when_its_process_cannot_load_the_app(tmp_path: Path) -> None:
    module = tmp_path / "shopapp.py"
    good = APP.format(file=tmp_path / "q.sqlite3")
    # Breaks in the processes of jobs only: as when new code lies on disk beside an old worker.
    broken = good + "\nimport sys\nif 'tabur.worker.isolated' in ' '.join(sys.orig_argv): 1 / 0\n"
    jobs = Tabur(database_url=f"sqlite:///{tmp_path / 'q.sqlite3'}")
    jobs.migrate()

    @jobs.job(timeout=30)
    def report() -> str: ...  # type: ignore[empty-body]  # never run

    module.write_text(broken)
    handle = report.dispatch()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tabur", "--app", "shopapp:jobs", "queue:work"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert worker.stderr is not None
        for line in worker.stderr:
            if "ended before it had loaded the app" in line:
                break
        module.write_text(good)
        until(lambda: handle.status().finished)
        assert handle.result() == "done"
        assert handle.status().attempt == 1
        assert [each.ending for each in jobs.driver.inspection.attempts(_id(handle.id))] == [
            "completed"
        ]
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
        jobs.close()


def test_nor_when_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = APP.format(file=tmp_path / "q.sqlite3") + SLOW
    (tmp_path / "slowapp.py").write_text(slow)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(processes, "START_PAUSE", 0)
    module = import_module("slowapp")
    jobs = module.jobs
    jobs.migrate()
    module.report.dispatch()
    turn = Exchange("w1", token=new_token(), queues=("default",), slots={Isolation.PROCESS: 1})
    (job,) = jobs.driver.claiming.exchange(turn).claimed
    reporter = StoreReporter(jobs.runtime, "w1")
    run = prepare(job, jobs.registry, WorkOptions(), reporter, None)
    process = processes.JobProcess(Hello("slowapp:jobs", sys.path))
    try:
        with ThreadPoolExecutor(1) as executor:
            performed = executor.submit(process.perform, run, reporter)
            until(lambda: run.handle is process)
            run.timed_out = True
            process.end(run)
            assert performed.result(20).ended is Ended.HANDED_BACK
    finally:
        process.close()
        jobs.close()


def _id(text: str) -> bytes:
    from uuid import UUID

    return UUID(text).bytes
