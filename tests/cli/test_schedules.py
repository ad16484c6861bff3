"""The commands of schedules, and what `schedule:run` costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.cli.project import Project, make_project

SCHEDULES = """
import os
from tabur import Tabur

jobs = Tabur.from_env()


@jobs.schedule.cron("*/5 * * * *", timezone="Asia/Baghdad", without_overlapping=True)
@jobs.job(queue="mail")
def remind(days: int = 3) -> str:
    return f"reminded {days}"


@jobs.schedule.daily_at("2:00").description("Removes old carts")
def clean() -> None:
    print("cleaned")


@jobs.schedule.hourly().environments("production")
def only_there() -> None: ...


jobs.schedule.exec("echo to the tape; exit ${CODE:-0}").weekly().name("backup")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    project = make_project(tmp_path, monkeypatch)
    (tmp_path / f"{project.module}.py").write_text(SCHEDULES, "utf-8")
    project.jobs.migrate()
    yield project
    project.close()


@pytest.fixture
def registered(shop: Project) -> Project:
    shop.jobs.scheduler(say=lambda text: None)._loops[0].begin()
    return shop


# schedule:list


def test_listed_before_a_scheduler_has_run_and_after(shop: Project) -> None:
    before = shop.json("schedule:list")
    assert [each["name"] for each in before] == ["backup", "clean", "remind"]
    assert {each["stored"] for each in before} == {False}
    shop.jobs.scheduler(say=lambda text: None)._loops[0].begin()
    after = shop.json("schedule:list")
    assert {each["stored"] for each in after} == {True}
    assert [each["next_run_at"] for each in after] == [each["next_run_at"] for each in before]
    remind = after[2]
    assert remind["cron_expression"] == "*/5 * * * *"
    assert remind["timezone"] == "Asia/Baghdad"
    assert remind["words"] == "every 5 minutes (Asia/Baghdad)"
    assert (remind["overlap"], remind["missed"], remind["origin"]) == ("skip", "last", "code")


def test_listed_for_people(registered: Project) -> None:
    said = registered.run("schedule:list").stdout
    assert "*/5 * * * *  remind ..." in said
    assert "Next Due: " in said
    assert "Removes old carts" not in said
    assert "Removes old carts; runs clean()" in registered.run("schedule:list", "-v").stdout
    assert "كل 5 دقائق" in registered.run("schedule:list", "-v", "--language=ar").stdout
    assert " +03" in registered.run("schedule:list", "--timezone=Asia/Baghdad").stdout


def test_listed_in_the_order_in_which_they_are_due(registered: Project) -> None:
    due = [each["next_run_at"] for each in registered.json("schedule:list", "--next")]
    assert due == sorted(due)


def test_listed_for_another_environment(registered: Project) -> None:
    names = [each["name"] for each in registered.json("schedule:list", "--environment=production")]
    assert "only_there" in names


def test_nothing_to_list(project: Project) -> None:
    assert "No scheduled tasks have been defined" in project.run("schedule:list").stdout
    assert project.json("schedule:list") == []


def test_a_zone_that_is_none(shop: Project) -> None:
    assert "Did you mean Asia/Baghdad" in shop.error("schedule:list", "--timezone=Asia/Bagdad")


# schedule:next


def test_the_next_of_a_schedule(registered: Project) -> None:
    said = registered.run("schedule:next", "remind", "--count=2").stdout
    assert "every 5 minutes (Asia/Baghdad)" in said
    assert said.count(" +03\n") == 2
    moments = registered.json("schedule:next", "clean", "--count=3")
    days = [datetime.fromisoformat(each) for each in moments]
    assert [each.hour for each in days] == [2, 2, 2]
    registered.run("schedule:pause", "clean")
    assert "It is paused" in registered.run("schedule:next", "clean").stdout


def test_the_next_of_an_expression(shop: Project) -> None:
    said = shop.run("schedule:next", "--cron=0 8 * * 0-4", "--timezone=Asia/Baghdad").stdout
    assert "at 08:00 from Sunday to Thursday (Asia/Baghdad)" in said
    assert "there is no such date" in shop.error("schedule:next", "--cron=0 0 30 2 *")


def test_of_which_schedule_is_to_be_said(registered: Project) -> None:
    assert "Of which schedule?" in registered.error("schedule:next", code=2)
    assert "Did you mean 'remind'" in registered.error("schedule:next", "remnd")


# schedule:run and schedule:history


def test_run_dispatches_what_is_due_and_history_tells(registered: Project) -> None:
    schedules = registered.jobs.driver.schedules
    stored = schedules.find("remind")
    assert stored is not None
    from msgspec.structs import replace

    schedules.put([replace(stored, next_run_at=registered.jobs.driver.now() - 1, revision=2)])
    said = registered.run("schedule:run").stdout
    assert "Running scheduled command: remind" in said
    (job,) = registered.json("schedule:history", "remind")
    assert (job["decision"], job["schedule"], job["reason"]) == ("dispatched", "remind", "")
    assert registered.jobs.handle(job["job_id"]).status().queue == "mail"
    assert "dispatched" in registered.run("schedule:history").stdout
    assert registered.run("schedule:run", "--whisper").stdout == ""
    assert "No scheduled commands are ready" in registered.run("schedule:run").stdout
    assert "No ticks have been recorded" in registered.run("schedule:history", "clean").stdout
    assert "No schedule is called 'x'" in registered.error("schedule:history", "x")


@pytest.mark.parametrize("command", ["schedule:run", "schedule:work"])
def test_jobs_in_memory_are_seen_by_nobody(
    shop: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    shop.close()
    monkeypatch.setenv("QUEUE_CONNECTION", "memory")
    assert "Set QUEUE_CONNECTION=database" in shop.error(command)


def test_without_tables_it_says_what_to_do(bare: Project) -> None:
    (bare.folder / f"{bare.module}.py").write_text(SCHEDULES, "utf-8")
    assert "Run: tabur migrate" in bare.error("schedule:run")
    assert "Run: tabur migrate" in bare.error("schedule:work")


# schedule:test


def test_run_here_and_now(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    said = shop.run("schedule:test", "--name=clean").stdout
    assert "Running [clean]" in said
    assert "DONE" in said
    assert "to the tape" in shop.run("schedule:test", "--name=backup").stdout
    monkeypatch.setenv("CODE", "3")
    assert "ended with exit code 3: to the tape" in shop.error("schedule:test", "--name=backup")


def test_sent_to_the_workers(shop: Project) -> None:
    assert (
        "Dispatched [remind] as job"
        in shop.run("schedule:test", "--name=remind", "--dispatch").stdout
    )
    (queue,) = shop.json("queue:monitor", "mail")
    assert queue["pending"] == 1


def test_one_made_at_run_time_is_tested_too(shop: Project) -> None:
    shop.jobs.schedules.create(name="mine", cron="@daily", job="remind", arguments={"days": 1})
    assert "Running [mine]" in shop.run("schedule:test", "--name=mine").stdout


def test_which_one_is_to_be_said_where_nobody_can_be_asked(shop: Project) -> None:
    assert "Which schedule? --name=… of: 'remind', 'clean'" in shop.error("schedule:test", code=2)
    assert "No schedule is called 'x'" in shop.error("schedule:test", "--name=x")


# changing them


def test_paused_and_resumed(registered: Project) -> None:
    assert "Schedule [remind] has been paused" in registered.run("schedule:pause", "remind").stdout
    assert "remind ..." in registered.run("schedule:list").stdout
    paused = [each for each in registered.json("schedule:list") if not each["is_active"]]
    assert [each["name"] for each in paused] == ["remind"]
    assert "has been resumed" in registered.run("schedule:resume", "remind").stdout
    registered.run("schedule:pause", "--all")
    assert not any(each["is_active"] for each in registered.json("schedule:list"))
    assert registered.run("schedule:resume", "--all").stdout.count("has been resumed") == 3


@pytest.mark.parametrize("command", ["schedule:pause", "schedule:resume"])
def test_which_one_is_to_be_said(registered: Project, command: str) -> None:
    for arguments in ([], ["remind", "--all"]):
        assert "Which schedule?" in registered.error(command, *arguments, code=2)
    assert "Did you mean 'remind'" in registered.error(command, "remid")


def test_deleted(registered: Project) -> None:
    registered.jobs.schedules.create(name="mine", cron="@daily", job="remind")
    assert "has been removed" in registered.run("schedule:delete", "mine").stdout
    assert "it is back when a scheduler begins" in registered.run("schedule:delete", "clean").stdout
    assert "No schedule is called 'mine'" in registered.error("schedule:delete", "mine")


def test_accepted_without_effect(shop: Project) -> None:
    assert "Nothing to clear" in shop.run("schedule:clear-cache").stdout
    assert "Broadcasting schedule interrupt" in shop.run("schedule:interrupt").stdout


# what `schedule:run` costs

#: What it has no use for: each takes long to import.
NEEDLESS = (
    "asyncio",
    "rich",
    "psutil",
    "smtplib",
    "email.message",
    "urllib.request",
    "http.client",
)


#: It loads these dialects by itself, for the options that tables name.
SQLALCHEMY = """
import sqlalchemy.dialects.mysql, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite
"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=folder,
        env=quiet,
        capture_output=True,
        text=True,
    )


RUN = """
import sys
sys.argv = ["tabur", "schedule:run", "--whisper"]
from tabur.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code
"""


def test_nothing_needless_is_imported(shop: Project) -> None:
    show = f"import sys; print(*(name for name in {NEEDLESS!r} if name in sys.modules))"
    own = set(python(f"{RUN}\n{show}", shop.folder).stdout.split())
    assert own - set(python(f"{SQLALCHEMY}\n{show}", shop.folder).stdout.split()) == set()


def test_with_nothing_due_it_costs_little_more_than_its_imports(shop: Project) -> None:
    """Processor time: 120 ms is the target on an idle machine, and here a generous ceiling."""
    time_of = "import time; print(time.process_time())"
    base = f"{SQLALCHEMY}\nimport {shop.module}\n"
    shop.run("schedule:run", "--whisper")
    spent = [
        min(float(python(code + time_of, shop.folder).stdout) for _ in range(3))
        for code in (base, RUN)
    ]
    assert spent[1] - spent[0] < 5 * 0.120
