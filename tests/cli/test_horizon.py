"""The commands of Horizon: who works, on which queues; pausing all, ending all."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from click.testing import CliRunner

from tabur.cli.group import tabur
from tabur.model.clock import now_us
from tabur.model.records import Pause, WorkerRecord
from tabur.worker.supervision.folder import About, RunFolder
from tests.cli.project import Project


def work(project: Project, name: str, *queues: str, supervisor: str = "s1") -> None:
    """A worker process that lives, since it is this one."""
    project.jobs.driver.workers.register(
        WorkerRecord(
            name, socket.gethostname(), os.getpid(), now_us(), queues=queues, supervisor=supervisor
        )
    )


def status(project: Project, code: int) -> Any:
    return project.json("horizon:status", code=code)


@pytest.fixture(autouse=True)
def run_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABUR_RUN", str(project.folder / "run"))


def test_inactive_running_paused(project: Project) -> None:
    assert status(project, 2) == {"status": "inactive", "supervisors": [], "resting": []}
    work(project, "w1", "mail")
    assert status(project, 0)["status"] == "running"
    assert "Horizon is paused" in project.run("horizon:pause").output
    paused = status(project, 1)
    assert (paused["status"], paused["resting"][0]["reason"]) == ("paused", "horizon:pause")
    assert "Horizon is paused" in project.run("horizon:status", code=1).output
    assert "Horizon goes on" in project.run("horizon:continue").output
    assert status(project, 0)["status"] == "running"
    assert "was not paused" in project.run("horizon:continue").output


def test_one_queue_that_rests_is_no_pause_and_is_shown(project: Project) -> None:
    work(project, "w1", "mail", "default")
    project.jobs.driver.control.pause(Pause("mail", 0, reason="the provider is down"))
    shown = project.run("horizon:status")
    assert "Horizon is running" in shown.output
    assert "mail: paused: the provider is down" in shown.output
    project.run("horizon:pause")
    project.run("horizon:continue")
    assert [each.queue for each in project.jobs.driver.control.signals().pauses] == ["mail"]


def test_a_hold_pauses_all(project: Project) -> None:
    work(project, "w1", "mail")
    project.jobs.driver.control.hold("restored")
    assert status(project, 1)["resting"][0]["kind"] == "hold"
    assert "release-hold" in project.run("horizon:continue").output


def test_supervisors_with_their_queues_and_processes(project: Project) -> None:
    assert "No supervisors" in project.run("horizon:supervisors").output
    for n in range(3):
        work(project, f"m{n}", "mail")
    work(project, "d", "default")
    work(project, "both", "high", "default", supervisor="s2")
    here = socket.gethostname()
    assert project.json("horizon:supervisors") == [
        {
            "connection": "database",
            "id": "s1",
            "host": here,
            "queues": {"mail": 3, "default": 1},
            "processes": 4,
        },
        {
            "connection": "database",
            "id": "s2",
            "host": here,
            "queues": {"high": 1, "default": 1},
            "processes": 1,
        },
    ]
    assert "[database] mail: 3" in project.run("horizon:supervisors").output


def test_who_is_gone_without_a_word_does_not_run(project: Project) -> None:
    project.jobs.driver.workers.register(
        WorkerRecord("w1", socket.gethostname(), os.getpid(), 1, queues=("mail",))
    )
    assert status(project, 2)["supervisors"] == []


def test_a_supervisor_that_needs_no_process_just_now_runs(project: Project) -> None:
    about = About(os.getpid(), "shop:jobs", "database", ("mail",), 0, 1.0)
    folder = RunFolder(project.jobs.settings.run, about)
    assert status(project, 0)["status"] == "running"
    project.run("horizon:pause")
    assert status(project, 1)["status"] == "paused"
    folder.remove()
    assert status(project, 2)["status"] == "inactive"


def test_terminate_asks_all_to_restart(project: Project) -> None:
    control = project.jobs.driver.control
    before = control.signals().restarts
    work(project, "w1", "mail")
    assert "Telling 1 worker process to terminate" in project.run("horizon:terminate").output
    assert control.signals().restarts == before + 1


def test_terminate_waits_until_they_have_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(project, "w1", "mail")
    work(project, "w2", "mail")
    left = ["w1", "w2"]

    def pass_time(seconds: float) -> None:
        project.jobs.driver.workers.remove(left.pop())
        if not left:
            work(project, "w3", "mail")  # its successor is nobody to wait for

    monkeypatch.setattr("tabur.cli.horizon.sleep", pass_time)
    project.run("horizon:terminate", "--wait")
    assert left == []


def test_horizon_has_the_options_of_queue_work_but_those_it_decides(project: Project) -> None:
    shown = CliRunner().invoke(tabur, ["horizon", "--help"]).output
    for option in ("--max-processes", "--target", "--tries", "--memory", "--stop-when-empty"):
        assert option in shown
    for option in ("--queue=mail", "--processes=3", "--balance=off", "--once"):
        assert "No such option" in project.error("horizon", option, code=2)
    assert "Balanced" in shown
    assert project.error("horizon", "sync").startswith("tabur: This app has no connection 'sync'")
