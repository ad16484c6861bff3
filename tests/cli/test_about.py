"""about: what is there, what is wrong, and what to do."""

from __future__ import annotations

import os
import platform
import socket

import pytest

import tabur
from tabur.model.clock import now_us
from tabur.model.records import WorkerRecord
from tests.cli.project import Project


def register(project: Project, pid: int, *, host: str = "", queues: str = "default") -> None:
    project.jobs.driver.workers.register(
        WorkerRecord(f"{pid}-{host}", host or socket.gethostname(), pid, now_us(), queues=(queues,))
    )


def test_versions_store_and_workers(project: Project) -> None:
    register(project, os.getpid())
    shown = project.run("about").stdout
    for word in (tabur.__version__, platform.python_version(), "SQLAlchemy", "SQLite", "database"):
        assert word in shown
    assert f"{os.getpid()} (default)" in shown
    assert "alive, beat 0" in shown
    assert "All is well." in shown


def test_as_json(project: Project) -> None:
    register(project, os.getpid())
    seen = project.json("about")
    assert seen["app"] == f"{project.module}:jobs"
    assert seen["connection"] == "database"
    assert seen["jobs"] == 2
    assert seen["health"]["store"]["integrity"] == "ok"
    assert [each["alive"] for each in seen["health"]["workers"]] == [True]
    assert seen["health"]["problems"] == []


def test_missing_tables(bare: Project) -> None:
    seen = bare.json("about", code=1)
    assert [each["todo"] for each in seen["health"]["problems"]] == ["tabur migrate"]
    assert "tabur migrate" in bare.run("about", code=1).stdout


def test_nobody_works_what_waits(project: Project) -> None:
    assert "No worker runs." in project.run("about").stdout
    register(project, os.getpid(), queues="default")
    project.dispatch("greet")
    project.dispatch("send", to="x")
    shown = project.run("about", code=1).stdout
    assert "1 job waits on queue mail, and no worker works it." in shown
    assert "tabur queue:work --queue=mail" in shown
    assert "queue default," not in shown


def test_workers_that_are_gone_and_workers_elsewhere(project: Project) -> None:
    register(project, 2**22 + 1)
    register(project, 77, host="elsewhere")
    shown = project.run("about", code=1).stdout
    assert "1 worker process is gone without a word" in shown
    assert "elsewhere 77 (default)" in shown
    assert "on another host" in shown


def test_failed_jobs_are_mentioned(project: Project) -> None:
    project.dispatch("send", to="x")
    project.work()
    assert "1 job has failed." in project.run("about").stdout


def test_retry_after_is_ignored_and_said_to_be(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_QUEUE_RETRY_AFTER", "90")
    (project.folder / ".env").write_text("retry_after=60\n", "utf-8")
    shown = project.run("about").stdout
    assert "DB_QUEUE_RETRY_AFTER=90 is ignored" in shown
    assert "retry_after=60 is ignored" in shown


def test_without_an_app_it_still_tells_the_rest(project: Project) -> None:
    shown = project.run("--app", "nowhere:jobs", "about", code=1).stdout
    assert tabur.__version__ in shown
    assert "there is no module 'nowhere'" in shown
    (project.folder / "broken_app.py").write_text("1 / 0\n", "utf-8")
    shown = project.run("--app", "broken_app:jobs", "about", code=1).stdout
    assert "broken_app.py:1: ZeroDivisionError" in shown


@pytest.mark.parametrize("connection", ["sync", "memory"])
def test_connections_that_are_no_queue_are_said_to_be(
    project: Project, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", connection)
    project.close()
    assert f"QUEUE_CONNECTION={connection} " in project.run("about").stdout
