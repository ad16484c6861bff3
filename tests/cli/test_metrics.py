"""`queue:metrics`: numbers for scalers outside."""

from __future__ import annotations

import os
import re
import socket
from typing import Any

import pytest

from tabur.errors import ConfigError
from tabur.model.clock import now_us
from tabur.model.records import ALL_QUEUES, Pace, Pause, WorkerRecord
from tabur.operations.scaling import QueueScale, exposition
from tests.cli.project import Project


def work(project: Project, name: str, *queues: str, pace: Pace | None = None) -> None:
    workers = project.jobs.driver.workers
    workers.register(WorkerRecord(name, socket.gethostname(), os.getpid(), now_us(), queues=queues))
    if pace is not None:
        workers.tell({name: pace})


def of(project: Project, queue: str, *options: str) -> dict[str, Any]:
    (found,) = project.json("queue:metrics", queue, *options)
    return dict(found)


def test_all_queues_that_jobs_go_to_by_themselves(project: Project) -> None:
    project.dispatch("send", to="a@b")
    rows = project.json("queue:metrics")
    assert [(each["queue"], each["pending"], each["wanted"]) for each in rows] == [
        ("default", 0, 1),
        ("mail", 1, 1),
    ]
    assert rows[0] | {"queue": "default"} == {
        "connection": "database",
        "queue": "default",
        "pending": 0,
        "oldest": None,
        "arrivals": 0.0,
        "service": None,
        "processes": 0,
        "wanted": 1,
        "paused": False,
    }
    assert 0 <= rows[1]["oldest"] < 60


def test_what_workers_of_all_hosts_tell_makes_what_is_wanted(project: Project) -> None:
    work(project, "w1", "mail", pace=Pace(30.0, 0.5))
    work(project, "w2", "mail", pace=Pace(10.0, 1.5))
    seen = of(project, "mail")
    assert (seen["processes"], seen["arrivals"], seen["service"]) == (2, 40.0, 0.75)
    assert seen["wanted"] == 3  # 40 × 0.75 = 30 at once, 10 in each
    assert of(project, "mail", "--concurrency=5")["wanted"] == 6
    assert of(project, "mail", "--max-processes=2")["wanted"] == 2


def test_what_waits_is_spread_over_the_target(project: Project) -> None:
    work(project, "w1", "mail", pace=Pace(0.0, 1.0))
    for _ in range(30):
        project.dispatch("send", to="a@b")
    assert of(project, "mail", "--target=1", "--max-processes=9")["wanted"] == 3
    assert of(project, "mail", "--target=60")["wanted"] == 1


def test_workers_of_several_queues_tell_no_arrivals(project: Project) -> None:
    work(project, "w1", "mail", "default", pace=Pace(30.0, 0.5))
    seen = of(project, "mail")
    assert (seen["processes"], seen["arrivals"], seen["service"]) == (1, None, 0.5)


def test_nothing_is_wanted_of_a_queue_where_nothing_is(project: Project) -> None:
    assert of(project, "mail", "--min-processes=0")["wanted"] == 0


@pytest.mark.parametrize("queue", ["mail", ALL_QUEUES])
def test_a_paused_queue_wants_its_minimum(project: Project, queue: str) -> None:
    work(project, "w1", "mail", pace=Pace(300.0, 0.5))
    project.jobs.driver.control.pause(Pause(queue, 0))
    seen = of(project, "mail")
    assert (seen["wanted"], seen["paused"]) == (1, True)
    assert "mail (paused)" in project.run("queue:metrics", "mail").output


def test_people_see_a_table(project: Project) -> None:
    work(project, "w1", "mail", pace=Pace(38.2, 0.12))
    lines = project.run("queue:metrics", "mail").output.splitlines()
    assert lines[3].split("|")[1:-1] == [
        " [database] mail ",
        *(" 0       ", " -      ", " 38.2/s   ", " 0.120 s    ", " 1         ", " 1      "),
    ]


def test_a_page_for_prometheus(project: Project) -> None:
    work(project, "w1", "mail", pace=Pace(38.2, 0.12))
    page = project.run("queue:metrics", "--prometheus").stdout
    assert 'tabur_queue_arrivals_per_second{connection="database",queue="mail"} 38.2\n' in page
    assert 'tabur_queue_processes_wanted{connection="database",queue="default"} 1\n' in page
    assert "queue_service_seconds{" in page
    assert 'queue_service_seconds{connection="database",queue="default"}' not in page
    sample = re.compile(r'[a-z_]+\{connection="[^"]*",queue="[^"]*"\} [0-9.e+]+')
    for line in page.splitlines():
        assert line.startswith(("# HELP tabur_", "# TYPE tabur_")) or sample.fullmatch(line)


def test_names_cannot_break_out_of_their_labels() -> None:
    odd = QueueScale("database", 'a"b\\c\nd', 1, None, None, None, 0, 1, False)
    page = exposition([odd])
    assert 'tabur_queue_pending{connection="database",queue="a\\"b\\\\c\\nd"} 1\n' in page
    assert len(page.splitlines()) == 7 * 2 + 5


def test_a_queue_that_nobody_knows_is_a_slip(project: Project) -> None:
    assert "Queue 'mial' holds nothing" in project.error("queue:metrics", "mial")
    assert "Leave one out" in project.error("queue:metrics", "--json", "--prometheus", code=2)


def test_an_app_tells_it_too(project: Project) -> None:
    work(project, "w1", "mail", pace=Pace(60.0, 0.5))
    (mail,) = project.jobs.scaling(queues=["mail"])
    assert (mail.queue, mail.wanted) == ("mail", 3)
    assert [each.queue for each in project.jobs.scaling()] == ["default", "mail"]
    with pytest.raises(ConfigError):
        project.jobs.scaling(min_processes=3, max_processes=2)
