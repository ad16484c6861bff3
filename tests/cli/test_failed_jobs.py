"""queue:failed, queue:failed:show, queue:retry, queue:forget and queue:flush."""

from __future__ import annotations

import pytest

from tabur import State
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.records import Crash, ErrorInfo
from tabur.model.states import Isolation
from tests.cli.project import Project


@pytest.fixture
def failed(project: Project) -> list[str]:
    """Three failed jobs, oldest first, and one that completed."""
    ids = [project.dispatch("send", to=f"box {n}") for n in range(3)]
    project.dispatch("greet")
    project.work()
    return ids


def state(project: Project, job_id: str) -> State:
    return project.jobs.handle(job_id).status().state


def test_the_list_shows_each_failed_job_with_its_error(project: Project, failed: list[str]) -> None:
    shown = project.run("queue:failed").stdout
    for job_id in failed:
        assert job_id in shown
    for word in ("ID", "Connection", "Queue", "Job", "Failed at", "database", "mail", "send"):
        assert word in shown
    assert "RuntimeError: no such box: box 1" in shown
    assert "greet" not in shown


def test_the_list_as_json(project: Project, failed: list[str]) -> None:
    listed = project.json("queue:failed")
    assert [each["id"] for each in listed] == failed[::-1]
    newest = listed[0]
    assert newest["queue"] == "mail"
    assert newest["job"] == "send"
    assert newest["attempts"] == 2
    assert newest["exception"] == "RuntimeError"
    assert newest["failed_at"].endswith("Z")


def test_a_long_list_says_that_it_was_cut(project: Project, failed: list[str]) -> None:
    shown = project.run("queue:failed", "--limit=2").stdout
    assert failed[0] not in shown
    assert failed[2] in shown
    assert "--limit=0" in shown
    assert "--limit=0" not in project.run("queue:failed", "--limit=3").stdout


def test_the_list_of_one_queue(project: Project, failed: list[str]) -> None:
    assert len(project.json("queue:failed", "--queue=mail")) == len(failed)
    assert project.json("queue:failed", "--queue=default") == []


def test_an_empty_list_says_so(project: Project) -> None:
    assert "No failed jobs found." in project.run("queue:failed").stdout
    assert project.json("queue:failed") == []


def test_show_tells_of_every_attempt(project: Project, failed: list[str]) -> None:
    shown = project.run("queue:failed:show", failed[1]).stdout
    assert "FAILED" in shown
    assert "Attempt 1: retried" in shown
    assert "Attempt 2: failed" in shown
    assert shown.count("Traceback (most recent call last)") == 2
    assert '"to":"box 1"' in shown
    as_json = project.json("queue:failed:show", failed[1])
    assert [each["ending"] for each in as_json["history"]] == ["retried", "failed"]
    assert as_json["history"][1]["error"]["message"] == "no such box: box 1"


def test_show_tells_of_a_crash(project: Project) -> None:
    job_id = project.dispatch("send", to="x")
    claiming = project.jobs.driver.claiming
    claiming.exchange(
        Exchange("host.1", token=new_token(), queues=("mail",), slots={Isolation.THREAD: 9})
    )
    crash = Crash(ErrorInfo("JobCrashed", "Its worker was killed by SIGKILL."))
    assert claiming.release_worker("host.1", crash=crash) == 1
    project.work()
    shown = project.run("queue:failed:show", job_id).stdout
    assert shown.index("Crashed after") < shown.index("Attempt 1: retried")
    assert "JobCrashed: Its worker was killed by SIGKILL." in shown
    assert "worker host.1" in shown
    history = project.json("queue:failed:show", job_id)["history"]
    assert [each["ending"] for each in history] == ["crashed", "retried", "failed"]


def test_show_tells_of_owner_progress_and_files(project: Project) -> None:
    with project.jobs.scope(tenant="acme", user="7"):
        job_id = project.dispatch("send", to="x")
    project.work()
    assert "acme / 7" in project.run("queue:failed:show", job_id).stdout


def test_the_beginning_of_an_id_will_do(project: Project, failed: list[str]) -> None:
    prefix = unique_prefix(failed[0], failed)
    assert failed[0] in project.run("queue:failed:show", prefix).stdout
    assert failed[0] in project.run("queue:retry", prefix).stdout
    assert state(project, failed[0]) is State.PENDING


def unique_prefix(job_id: str, among: list[str]) -> str:
    others = [each for each in among if each != job_id]
    return next(
        job_id[:n]
        for n in range(4, 37)
        if job_id[n - 1] != "-" and not any(each.startswith(job_id[:n]) for each in others)
    )


def test_an_ambiguous_beginning_names_what_it_could_be(project: Project, failed: list[str]) -> None:
    said = project.error("queue:forget", failed[0][:6])
    assert failed[2] in said
    assert "more of the id" in said


def test_retry_by_id(project: Project, failed: list[str]) -> None:
    shown = project.run("queue:retry", failed[0], failed[1]).stdout
    assert "Pushing failed queue jobs back onto the queue." in shown
    assert shown.count("DONE") == 2
    states = [state(project, each) for each in failed]
    assert states == [State.PENDING, State.PENDING, State.FAILED]
    assert project.jobs.handle(failed[0]).status().attempt == 0


def test_retry_all(project: Project, failed: list[str]) -> None:
    assert project.run("queue:retry", "all").stdout.count("DONE") == 3
    assert {state(project, each) for each in failed} == {State.PENDING}
    assert "No retryable jobs found." in project.run("queue:retry", "all").stdout


def test_retry_a_queue(project: Project, failed: list[str]) -> None:
    assert "No retryable" in project.run("queue:retry", "--queue=default").stdout
    assert project.run("queue:retry", "--queue=mail").stdout.count("DONE") == 3
    assert state(project, failed[0]) is State.PENDING


def test_retry_of_what_has_not_failed(project: Project, failed: list[str]) -> None:
    done = project.dispatch("greet")
    project.work()
    result = project.run("queue:retry", failed[0], done, "nonsense", code=1)
    assert state(project, failed[0]) is State.PENDING
    assert f"No failed job has the id {done}" in result.stderr
    assert "No failed job has the id nonsense" in result.stderr


def test_retry_needs_to_know_which(project: Project) -> None:
    assert "Which jobs?" in project.error("queue:retry", code=2)
    assert "Which jobs?" in project.error("queue:retry", "0193", "--queue=mail", code=2)


def test_a_range_is_refused_with_the_reason(project: Project) -> None:
    assert "UUIDs" in project.error("queue:retry", "--range=1-5", code=2)


def test_forget(project: Project, failed: list[str]) -> None:
    assert failed[0] in project.run("queue:forget", failed[0]).stdout
    assert failed[0] not in project.run("queue:failed").stdout
    assert "No failed job has the id" in project.error("queue:forget", failed[0])


def test_only_failed_jobs_are_forgotten(project: Project) -> None:
    waiting = project.dispatch("greet")
    assert "No failed job" in project.error("queue:forget", waiting)
    assert state(project, waiting) is State.PENDING


def test_flush(project: Project, failed: list[str]) -> None:
    assert "0 failed jobs" in project.run("queue:flush", "--hours=1").stdout
    assert "3 failed jobs deleted" in project.run("queue:flush").stdout
    assert project.json("queue:failed") == []


def test_show_of_no_such_job(project: Project) -> None:
    assert "No job with id" in project.error("queue:failed:show", "01234567")
