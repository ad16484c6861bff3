"""What is dispatched or scheduled, and nobody works it; and jobs that no code knows."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import msgspec
import pytest

from servers.redis import RedisServer
from tabur.cli.doctor import _patient as patient_of
from tabur.model.beats import SchedulerBeat
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import new_id
from tabur.model.records import NewJob, WorkerRecord
from tabur.model.schedules import Origin, ScheduleRecord
from tabur.model.states import Isolation
from tabur.operations.doctor.work import about_scheduler
from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting

BOTH = ("default", "mail")


@pytest.fixture(params=["database", "redis"])
def placed(
    request: pytest.FixtureRequest, bare: Project, setting: Setting, redis_server: RedisServer
) -> Project:
    """The project on each kind of store."""
    if request.param == "redis":
        redis_server.ask("FLUSHALL")
        setting("QUEUE_CONNECTION", "redis")
        setting("REDIS_URL", redis_server.url(13))
    bare.jobs.migrate()
    return bare


def register(
    project: Project, pid: int, *, queues: tuple[str, ...] = BOTH, version: str = ""
) -> None:
    project.jobs.driver.workers.register(
        WorkerRecord(
            f"w-{pid}", socket.gethostname(), pid, now_us(), queues=queues, version=version
        )
    )


def dispatch(project: Project, name: str, *, age: float = 0.0, delay: float = 0.0) -> None:
    """A job of any name, made `age` seconds ago."""
    now = now_us() - int(age * SECOND)
    made = (now // 1000).to_bytes(6, "big") + new_id()[6:]
    due = now_us() + int(delay * SECOND) if delay else None
    project.jobs.driver.dispatching.dispatch(
        [NewJob(made, name, "default", Isolation.THREAD, b"{}", now, due_at=due)]
    )


def test_all_is_well(project: Project, doctor: Ask) -> None:
    register(project, os.getpid())
    project.dispatch("greet")
    assert doctor() == {}
    project.close()
    shown = project.run("doctor").stdout
    assert "All is well." in shown
    assert "[database] workers" in shown


def test_nobody_works(placed: Project, doctor: Ask, setting: Setting) -> None:
    found = doctor()
    assert found["no-worker"]["level"] == "warning"
    assert "tabur queue:work --queue=default,mail" in found["no-worker"]["todo"]
    placed.dispatch("greet")
    found = doctor()
    assert found["queue-unworked"]["level"] == "error"
    assert (
        "1 job waits on queue default, and no worker works it." in found["queue-unworked"]["what"]
    )
    setting("TABUR_ENV", "local")
    assert doctor()["no-worker"]["level"] == "note"


def test_code_that_no_worker_serves(placed: Project, doctor: Ask) -> None:
    register(placed, os.getpid(), queues=("default",))
    found = doctor()
    assert "no-worker" not in found
    assert "No worker works queue mail, to which these go: send." in found["code-unworked"]["what"]
    assert "--queue=mail" in found["code-unworked"]["todo"]
    register(placed, os.getppid(), queues=("mail",))
    assert "code-unworked" not in doctor()


def test_workers_that_are_gone(placed: Project, doctor: Ask) -> None:
    register(placed, 2**22 + 1)
    assert "1 worker process is gone" in doctor()["workers-gone"]["what"]


def test_workers_of_old_code(placed: Project, doctor: Ask, setting: Setting) -> None:
    register(placed, os.getpid(), version="v41")
    setting("TABUR_VERSION", "v42")
    assert "run version v41 of the code, and here is v42" in doctor()["workers-old"]["what"]
    setting("TABUR_VERSION", "v41")
    assert "workers-old" not in doctor()


@pytest.mark.parametrize("delay", [0.0, 3600.0])
def test_jobs_that_no_code_knows(placed: Project, doctor: Ask, delay: float) -> None:
    dispatch(placed, "SendMial", delay=delay)
    found = doctor()["jobs-unknown"]
    assert found["level"] == "error"
    assert "SendMial (as 0" in found["what"]
    assert "aliases=['old name']" in found["todo"]
    placed.run("queue:clear", "--force")
    assert "jobs-unknown" not in doctor()


def test_an_old_one_behind_very_many(project: Project, doctor: Ask) -> None:
    """One by one the newest are looked at, and of all others some of each age."""
    now = now_us()
    project.jobs.driver.dispatching.dispatch(
        [NewJob(new_id(), "greet", "default", Isolation.THREAD, b"{}", now) for _ in range(10_500)]
    )
    dispatch(project, "Forgotten", age=3 * 86_400)
    assert "Forgotten" in doctor()["jobs-unknown"]["what"]


def test_jobs_that_failed_because_nobody_knew_them(project: Project, doctor: Ask) -> None:
    dispatch(project, "Renamed")
    project.work()
    found = doctor()
    assert "jobs-unknown" not in found
    assert "Renamed (as 0" in found["jobs-unknown-failed"]["what"]
    assert "tabur queue:retry all" in found["jobs-unknown-failed"]["todo"]


def test_what_rests(placed: Project, doctor: Ask) -> None:
    placed.run("queue:pause", "mail", "--reason=the bank is away")
    assert "Queue mail is paused (the bank is away)." in doctor()["paused"]["what"]
    placed.run("queue:resume", "mail")
    placed.run("queue:pause", "--all")
    assert "All queues" in doctor()["paused"]["what"]
    placed.run("queue:resume", "--all")
    placed.run("queue:hold", "--reason=restored")
    found = doctor()
    assert "paused" not in found
    assert found["held"]["todo"].startswith("tabur queue:release-hold")


def schedule(project: Project, *, next_run_at: int) -> None:
    record = ScheduleRecord(
        name="nightly",
        origin=Origin.TABLE,
        definition=b"{}",
        cron_expression="0 2 * * *",
        timezone="UTC",
        next_run_at=next_run_at,
    )
    assert project.jobs.driver.schedules.put([record]) == 1


def test_schedules_that_nobody_looks_after(placed: Project, doctor: Ask, setting: Setting) -> None:
    assert "scheduler-not-running" not in doctor()
    schedule(placed, next_run_at=now_us() + 3600 * SECOND)
    found = doctor()["scheduler-not-running"]
    assert found["level"] == "error"
    assert "1 schedule waits for one." in found["what"]
    assert "tabur schedule:work" in found["todo"]
    setting("TABUR_ENV", "local")
    assert doctor()["scheduler-not-running"]["level"] == "note"
    beat(placed, age=1)
    assert "scheduler-not-running" not in doctor()


def test_a_scheduler_that_left_its_note_and_is_gone(placed: Project, doctor: Ask) -> None:
    beat(placed, age=1)
    schedule(placed, next_run_at=now_us() - 30 * SECOND)
    assert "scheduler-not-running" not in doctor()  # it may be busy
    placed.jobs.driver.schedules.delete("nightly")
    schedule(placed, next_run_at=now_us() - 400 * SECOND)
    assert "nightly has been due for 4" in doctor()["scheduler-not-running"]["what"]


def test_schedules_that_only_code_knows_yet(project: Project) -> None:
    patient = replace(patient_of(project.jobs, (), None), schedules={"database": ("nightly",)})
    (found,) = about_scheduler(patient, project.jobs.driver)
    assert found.name == "scheduler-not-running"
    assert "1 schedule waits for one." in found.what
    beat(project, age=1)
    assert list(about_scheduler(patient, project.jobs.driver)) == []


def test_a_note_that_is_old(placed: Project, doctor: Ask) -> None:
    """A scheduler says how often it writes: crontab's once a minute."""
    schedule(placed, next_run_at=now_us() + 3600 * SECOND)
    beat(placed, age=100, every=60)
    assert "scheduler-not-running" not in doctor()
    beat(placed, age=400, every=60, revision=1)
    assert "scheduler-not-running" in doctor()
    placed.jobs.driver.notes.write("scheduler/one", b"no JSON", revision=2)
    assert "scheduler-not-running" in doctor()


def beat(project: Project, *, age: int, every: int = 5, revision: int = 0) -> None:
    left = SchedulerBeat("one", "work", "here", 7, now_us() - age * SECOND, every)
    value = msgspec.json.encode(left)
    assert project.jobs.driver.notes.write("scheduler/one", value, revision=revision)
