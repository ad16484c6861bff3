"""`tabur top`: one frame, the live view, and what it asks of the store."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tabur.drivers.contract import Exchange, Filter
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import new_token
from tabur.model.records import Pace, WorkerRecord
from tabur.model.schedules import Origin, ScheduleRecord
from tabur.model.states import Isolation, State
from tabur.operations import overview as page
from tabur.operations.overview import overview
from tests.cli.project import Project
from tests.cli.terminal import Terminal


def work(project: Project, *, pid: int = 0, queues: tuple[str, ...] = ("mail",)) -> None:
    workers = project.jobs.driver.workers
    host = socket.gethostname()
    workers.register(WorkerRecord("w", host, pid or os.getpid(), now_us(), queues=queues))
    workers.tell({"w": Pace(rate=12.5, service=0.004, running=3)})


def claim(project: Project, queue: str) -> None:
    turn = Exchange("w", token=new_token(), queues=(queue,), slots={Isolation.THREAD: 10})
    assert project.jobs.driver.claiming.exchange(turn).claimed


def schedule(project: Project, name: str, due: int) -> None:
    cron = "0 2 * * *"
    record = ScheduleRecord(name, Origin.TABLE, b"{}", cron, "UTC", now_us() + due * SECOND)
    assert project.jobs.driver.schedules.put([record]) == 1


def fill(project: Project) -> None:
    project.dispatch("send", to="x")
    project.work()  # it fails
    for _ in range(3):
        project.dispatch("greet")
    claim(project, "default")
    project.dispatch("send", to="y")
    work(project)
    schedule(project, "nightly", 7200)
    schedule(project, "late", -90)


def test_one_frame(project: Project) -> None:
    fill(project)
    shown = project.run("top", "--once").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert any(re.fullmatch(r"mail 1 0 0 \d+ s 12\.5 1 OK", line) for line in lines)
    assert "default 0 0 3 - - 0 OK" in lines
    assert any(
        line.startswith(f"{socket.gethostname()} {os.getpid()} mail 12.5 4.0 ms 3 alive")
        for line in lines
    )
    assert sum(line.startswith("greet 0") for line in lines) == 3
    assert "Failed within an hour: 1" in shown
    assert "RuntimeError" in shown
    assert "late 0 2 * * * 2 min late" in lines
    assert "nightly 0 2 * * * 2 h" in lines
    project.run("queue:pause", "mail")
    shown = " ".join(project.run("top").stdout.split())  # no terminal: once
    assert re.search(r"mail 1 0 0 \d+ s 12\.5 1 pause", shown)
    project.run("queue:hold", "--reason=restored")
    assert "Held, no worker takes anything: restored" in project.run("top").stdout


def test_an_empty_store_and_one_that_is_away(project: Project, monkeypatch: Any) -> None:
    shown = project.run("top", "--once").stdout
    assert "Nothing waits, and nothing runs." in shown
    assert "No worker runs" in shown
    project.close()
    monkeypatch.setenv("QUEUE_CONNECTIONS", "redis")
    monkeypatch.setenv("REDIS_URL", "redis://shop:hush-hush@127.0.0.1:1/0")
    shown = project.run("top", "--once").stdout
    assert "redis://127.0.0.1:1/0 cannot be reached" in shown
    assert "hush-hush" not in shown
    assert "Nothing waits" in shown


def test_as_json(project: Project) -> None:
    fill(project)
    (seen,) = project.json("top")
    assert seen["connection"] == "database"
    assert {each["level"]["queue"]: each["level"]["pending"] for each in seen["queues"]} == {
        "default": 0,
        "mail": 1,
    }
    assert seen["failed_lately"] == 1
    assert len(seen["running"]) == 3
    assert [each["name"] for each in seen["schedules"]] == ["late", "nightly"]


class Counting:
    """A driver whose verbs are counted, whichever role they are of."""

    def __init__(self, inner: Any, counts: Counter[str]) -> None:
        self._inner, self._counts = inner, counts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if callable(found):
            self._counts[name] += 1
            return found
        return found if isinstance(found, str) else Counting(found, self._counts)


@pytest.mark.parametrize("jobs", [0, 40])
def test_it_asks_the_same_few_questions_whatever_there_is(project: Project, jobs: int) -> None:
    for n in range(jobs):
        project.dispatch("greet", name=str(n))
        schedule(project, f"s{n}", 60 + n)
    work(project)
    counts: Counter[str] = Counter()
    overview(Counting(project.jobs.driver, counts))
    assert counts == {"signals": 1, "list": 4, "queues": 1}


def test_failures_beyond_what_is_looked_at(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(page, "LOOKED", 3)
    for _ in range(5):
        project.dispatch("send", to="x")
    project.work()
    driver = project.jobs.driver
    assert driver.inspection.count(Filter(states=(State.FAILED,)), at_most=10) == 5
    seen = overview(driver)
    assert (seen.failed_lately, seen.at_least) == (5, False)
    monkeypatch.setattr(page, "COUNTED", 4)
    seen = overview(driver)
    assert (seen.failed_lately, seen.at_least) == (3, True)


@pytest.fixture
def terminal(project: Project) -> Iterator[Terminal]:
    project.dispatch("greet", name="a")
    terminal = Terminal(project, "top", kind="xterm")
    yield terminal
    terminal.close()


def test_live(terminal: Terminal, project: Project) -> None:
    terminal.shows("default")
    project.dispatch("send", to="y")
    terminal.shows("mail")  # by itself
    terminal.types("x")
    terminal.types("q")
    assert terminal.process.wait(30) == 0
