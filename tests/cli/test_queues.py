"""queue:restart, queue:clear and queue:monitor."""

from __future__ import annotations

import pytest

from tabur import State
from tests.cli.project import Project


def test_restart_counts_up_what_workers_watch(project: Project) -> None:
    before = project.jobs.driver.control.signals().restarts
    assert "restart signal to 0 worker processes" in project.run("queue:restart").stdout
    assert project.jobs.driver.control.signals().restarts == before + 1


def test_monitor_shows_sizes(project: Project) -> None:
    for _ in range(3):
        project.dispatch("send", to="x")
    shown = project.run("queue:monitor", "mail,database:default").stdout
    assert "[database] mail" in shown
    assert "[database] default" in shown
    mail, default = project.json("queue:monitor", "mail,default")
    assert (mail["size"], mail["pending"], mail["delayed"], mail["reserved"]) == (3, 3, 0, 0)
    assert mail["status"] == default["status"] == "OK"
    assert mail["oldest_pending"].endswith("Z")
    assert default["oldest_pending"] is None


def test_monitor_fails_above_the_limit(project: Project) -> None:
    for _ in range(3):
        project.dispatch("send", to="x")
    assert "ALERT" in project.run("queue:monitor", "mail", "--max=3", code=1).stdout
    assert project.json("queue:monitor", "mail", "--max=3", code=1)[0]["status"] == "ALERT"
    assert "ALERT" not in project.run("queue:monitor", "mail", "--max=4").stdout


def test_monitor_of_a_queue_that_nobody_uses_says_which_there_are(project: Project) -> None:
    said = project.error("queue:monitor", "mial")
    assert "'mial'" in said
    assert "default, mail" in said


def test_a_queue_known_by_what_it_held_is_no_slip(project: Project) -> None:
    module = __import__(project.module)
    module.greet.options(queue="rare").dispatch()
    project.run("queue:monitor", "rare")
    project.work()
    project.run("queue:monitor", "rare")


def test_monitor_of_another_connection(project: Project) -> None:
    assert "'redis'" in project.error("queue:monitor", "redis:default")
    assert "Which queues?" in project.error("queue:monitor", ",", code=2)
    assert "Which queue?" in project.error("queue:monitor", "database:", code=2)


def test_clear_cancels_what_waits(project: Project) -> None:
    job_id = project.dispatch("send", to="x")
    other = project.dispatch("greet")
    assert (
        "Cleared 1 job from the [mail] queue"
        in project.run("queue:clear", "database", "--queue=mail").stdout
    )
    assert project.jobs.handle(job_id).status().state is State.CANCELLED
    assert project.jobs.handle(other).status().state is State.PENDING


def test_clear_of_the_default_queue(project: Project) -> None:
    project.dispatch("greet")
    assert "Cleared 1 job from the [default] queue" in project.run("queue:clear").stdout


def test_clear_in_production_wants_force(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABUR_ENV", "production")
    project.close()
    project.dispatch("greet")
    assert "--force" in project.error("queue:clear")
    assert "Cleared 1 job" in project.run("queue:clear", "--force").stdout


def test_clear_in_production_asks_on_a_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABUR_ENV", "production")
    monkeypatch.setattr("tabur.cli.queues.is_terminal", lambda: True)
    project.close()
    project.dispatch("greet")
    project.run("queue:clear", given="n\n", code=130)
    assert "Cleared 1 job" in project.run("queue:clear", given="y\n").stdout


def test_clear_of_a_slip(project: Project) -> None:
    assert "default, mail" in project.error("queue:clear", "--queue=mial")
    assert "'redis'" in project.error("queue:clear", "redis")
