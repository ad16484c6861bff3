"""An app that cannot be loaded any more is no fault of the jobs that wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tabur import Tabur

APP = """
from tabur import Tabur
jobs = Tabur(database_url="sqlite:///{file}")

@jobs.job(timeout=30)
def report() -> str:
    return "done"
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
        until = time.monotonic() + 40
        while not handle.status().finished and time.monotonic() < until:
            time.sleep(0.05)
        assert handle.result() == "done"
        assert handle.status().attempt == 1
        assert [each.ending for each in jobs.driver.inspection.attempts(_id(handle.id))] == [
            "completed"
        ]
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
        jobs.close()


def _id(text: str) -> bytes:
    from uuid import UUID

    return UUID(text).bytes
