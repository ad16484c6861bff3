"""queue:prune-failed, queue:prune-completed, queue:prune-cancelled and queue:erase."""

from __future__ import annotations

import sqlite3
from importlib import import_module
from typing import Any

import pytest

from tabur import JobNotFound, State
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.states import Isolation
from tests.cli.project import Project


def is_known(project: Project, job_id: str) -> bool:
    try:
        project.jobs.handle(job_id).status()
    except JobNotFound:
        return False
    return True


def age(project: Project, hours: float) -> None:
    """Let all that has ended have ended earlier."""
    database = sqlite3.connect(project.folder / "jobs.sqlite3")
    with database:
        database.execute(
            "UPDATE job_outcomes SET ended_at = ended_at - ?", (int(hours * 3_600_000_000),)
        )
    database.close()


@pytest.fixture
def ended(project: Project) -> dict[str, str]:
    """One of each ending, 30 hours old; and one that failed just now."""
    ids = {"failed": project.dispatch("send", to="box"), "completed": project.dispatch("greet")}
    project.work()
    ids["cancelled"] = project.dispatch("greet")
    project.run("queue:clear")
    age(project, 30)
    ids["young"] = project.dispatch("send", to="box")
    project.work()
    return ids


@pytest.mark.parametrize("ending", ["failed", "completed", "cancelled"])
def test_one_ending_is_pruned_and_no_other(
    project: Project, ended: dict[str, str], ending: str
) -> None:
    shown = project.run(f"queue:prune-{ending}", "--dry-run").stdout
    assert f"1 {ending} job that ended more than 24 hours ago would be deleted." in shown
    assert all(is_known(project, each) for each in ended.values())
    shown = project.run(f"queue:prune-{ending}").stdout
    assert f"1 {ending} job that ended more than 24 hours ago deleted." in shown
    assert {name for name, each in ended.items() if not is_known(project, each)} == {ending}
    assert f"0 {ending} jobs" in project.run(f"queue:prune-{ending}").stdout


def test_the_age_may_be_given(project: Project, ended: dict[str, str]) -> None:
    assert "0 failed jobs" in project.run("queue:prune-failed", "--hours=48").stdout
    assert "1 failed job " in project.run("queue:prune-failed", "--hours=1.5").stdout


def test_what_ended_within_the_hour_stays(project: Project, ended: dict[str, str]) -> None:
    assert "0.5" in project.error("queue:prune-failed", "--hours=0.5", code=2)
    assert "1 failed job " in project.run("queue:prune-failed", "--hours=1").stdout
    assert is_known(project, ended["young"])


def test_what_has_not_ended_stays(project: Project, ended: dict[str, str]) -> None:
    project.run("queue:retry", ended["failed"])
    for ending in ("failed", "completed", "cancelled"):
        project.run(f"queue:prune-{ending}", "--hours=1")
    assert is_known(project, ended["failed"])


def dispatch(project: Project, **options: Any) -> str:
    job = import_module(project.module).greet
    return str(job.options(**options).dispatch().id)


def test_a_tenant_is_erased(project: Project) -> None:
    theirs = [dispatch(project, tenant="acme", user="1"), dispatch(project, tenant="acme")]
    other = dispatch(project, tenant="other")
    shown = project.run("queue:erase", "--tenant=acme", "--dry-run").stdout
    assert "2 jobs of tenant 'acme' would be erased." in shown
    assert all(is_known(project, each) for each in theirs)
    shown = project.run("queue:erase", "--tenant=acme", "--force").stdout
    assert "2 jobs of tenant 'acme' erased." in shown
    assert [is_known(project, each) for each in (*theirs, other)] == [False, False, True]
    assert "0 jobs of" in project.run("queue:erase", "--tenant=acme", "--force").stdout


def test_one_user_of_a_tenant_is_erased(project: Project) -> None:
    theirs, other = dispatch(project, tenant="acme", user="1"), dispatch(project, tenant="acme")
    shown = project.run("queue:erase", "--tenant=acme", "--user=1", "--force").stdout
    assert "1 job of tenant 'acme', user '1' erased." in shown
    assert [is_known(project, each) for each in (theirs, other)] == [False, True]


def test_files_and_schedules_are_told(project: Project) -> None:
    job_id = dispatch(project, tenant="acme")
    project.work()
    folder = project.jobs.settings.attachments / job_id
    folder.mkdir(parents=True)
    (folder / "1").write_bytes(b"rows")
    greet = import_module(project.module).greet
    project.jobs.schedules.create(
        name="theirs", cron="0 0 * * *", job=greet.options(tenant="acme")()
    )
    shown = project.run("queue:erase", "--tenant=acme", "--force").stdout
    assert "1 job, 1 file and 1 schedule of tenant 'acme' erased." in shown
    assert not folder.exists()


def test_it_asks_before_it_erases(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = dispatch(project, tenant="acme")
    assert "Give --force" in project.error("queue:erase", "--tenant=acme")
    monkeypatch.setattr("tabur.cli.retention.is_terminal", lambda: True)
    shown = project.run("queue:erase", "--tenant=acme", given="n\n", code=130).stdout
    assert "Erase 1 job of tenant 'acme', for good?" in shown
    assert is_known(project, job_id)
    project.run("queue:erase", "--tenant=acme", given="y\n")
    assert not is_known(project, job_id)


def test_it_needs_to_know_whose(project: Project) -> None:
    assert "Whose jobs?" in project.error("queue:erase", "--force", code=2)
    assert "Whose jobs?" in project.error("queue:erase", "--force", "--tenant=", code=2)


def test_what_still_runs_is_named_and_the_exit_code_says_so(project: Project) -> None:
    job_id = dispatch(project, tenant="acme")
    turn = Exchange("w1", token=new_token(), queues=["default"], slots={Isolation.THREAD: 1})
    assert len(project.jobs.driver.claiming.exchange(turn).claimed) == 1
    result = project.run("queue:erase", "--tenant=acme", "--force", "--wait=0", code=1)
    assert "0 jobs of tenant 'acme' erased." in result.stdout
    assert f"{job_id} has been asked to stop, and still runs." in result.stdout
    assert project.jobs.handle(job_id).status().state is State.PROCESSING
    project.jobs.driver.claiming.release_worker("w1")
    assert "1 job of" in project.run("queue:erase", "--tenant=acme", "--force").stdout
