"""queue:pause, queue:resume, queue:hold and queue:release-hold."""

from __future__ import annotations

import pytest

from tabur.model.records import ALL_QUEUES, Pause, Signals
from tests.cli.project import Project


def signals(project: Project) -> Signals:
    return project.jobs.driver.control.signals()


def lasts(pause: Pause) -> float:
    """Seconds. Its end is counted from the command, its beginning from when the store had it."""
    assert pause.until is not None
    return (pause.until - pause.since) / 1_000_000


def test_a_queue_is_paused_for_a_time_and_a_reason(project: Project) -> None:
    said = project.run("queue:pause", "mail", "--for=30m", "--reason=the bank is away").stdout
    assert "Job processing on queue [database:mail] has been paused." in said
    assert "the bank is away" in said
    assert "→ tabur queue:resume database:mail" in said
    seen = signals(project)
    (paused,) = seen.pauses
    assert (paused.queue, paused.reason) == ("mail", "the bank is away")
    assert paused.since <= seen.now
    assert lasts(paused) == pytest.approx(1_800, abs=5)


@pytest.mark.parametrize(
    ("span", "seconds"), [("90", 90), ("40.5s", 40.5), ("2h", 7_200), ("1d", 86_400)]
)
def test_spans(project: Project, span: str, seconds: float) -> None:
    project.run("queue:pause", "database:mail", f"--for={span}")
    (paused,) = signals(project).pauses
    assert lasts(paused) == pytest.approx(seconds, abs=5)


@pytest.mark.parametrize("span", ["soon", "0", "-5", "9d9", "99999999d", "nan", "1e9", ""])
def test_a_span_that_is_none(project: Project, span: str) -> None:
    said = project.error("queue:pause", "mail", f"--for={span}", code=2)
    assert "write 90 (seconds), 30m, 2h or 1d" in said
    assert signals(project).pauses == ()


def test_a_paused_queue_says_so_wherever_it_is_shown(project: Project) -> None:
    project.dispatch("send", to="x")
    project.run("queue:pause", "mail", "--for=2h", "--reason=the bank is away")
    shown = project.run("queue:monitor", "mail,default").stdout
    assert "[database] mail is paused until" in shown
    assert ": the bank is away" in shown
    assert "default is" not in shown
    mail, default = project.json("queue:monitor", "mail,default")
    assert default["resting"] is None
    assert (mail["resting"]["kind"], mail["resting"]["queue"]) == ("pause", "mail")
    assert mail["resting"]["reason"] == "the bank is away"
    assert mail["resting"]["until"] > mail["resting"]["since"]

    about = project.json("about", code=1)["health"]
    assert [each["queue"] for each in about["resting"]] == ["mail"]
    problem = {"level": "warning", "what": "Queue mail is paused (the bank is away)."}
    assert problem | {"todo": "tabur queue:resume database:mail"} in about["problems"]
    assert "paused until" in project.run("about", code=1).stdout


@pytest.mark.parametrize("resume", ["queue:resume", "queue:continue"])
def test_resumed(project: Project, resume: str) -> None:
    project.run("queue:pause", "mail")
    project.run("queue:pause", "default")
    said = project.run(resume, "mail").stdout
    assert "Job processing on queue [database:mail] has been resumed." in said
    assert [each.queue for each in signals(project).pauses] == ["default"]
    assert "[database:mail] was not paused" in project.run(resume, "mail").stdout


def test_all_are_paused_and_all_resumed(project: Project) -> None:
    project.run("queue:pause", "mail")
    said = project.run("queue:pause", "--all").stdout
    assert "Job processing on all queues of [database] has been paused." in said
    assert {each.queue for each in signals(project).pauses} == {"mail", ALL_QUEUES}
    assert "mail is paused\n" in project.run("queue:monitor", "mail").stdout
    assert "all queues: paused" in project.run("queue:resume", "mail").stdout
    project.run("queue:pause", "mail")
    said = project.run("queue:resume", "--all").stdout
    assert "Job processing on all queues of [database] has been resumed." in said
    assert signals(project).pauses == ()
    assert "was not paused" in project.run("queue:resume", "--all").stdout


@pytest.mark.parametrize("command", ["queue:pause", "queue:resume"])
def test_which_queue_is_to_be_said(project: Project, command: str) -> None:
    for arguments in ([], ["mail", "--all"], ["database:"]):
        assert "Which queue?" in project.error(command, *arguments, code=2)
    assert "default, mail" in project.error(command, "mial")
    assert "'redis'" in project.error(command, "redis:mail")
    assert signals(project).pauses == ()


def test_a_hold_and_its_end(project: Project) -> None:
    said = project.run("queue:hold", "--reason=restored from Monday").stdout
    assert "Job processing on all queues of [database] is held." in said
    held = signals(project).hold
    assert held is not None
    assert held.reason == "restored from Monday"
    shown = project.run("queue:monitor", "mail").stdout
    assert "[database] mail is held since" in shown
    assert "restored from Monday" in shown
    about = project.run("about").stdout
    assert "WARNING The jobs of database are held" in about
    assert "tabur queue:release-hold database" in about

    project.run("queue:hold", "database", "--reason=another")
    assert signals(project).hold == held
    assert "is held no more" in project.run("queue:release-hold").stdout
    assert signals(project).hold is None
    assert signals(project).moment > 0
    assert "was not held" in project.run("queue:release-hold", "database").stdout
    assert "'redis'" in project.error("queue:hold", "redis")


def test_what_is_both_held_and_paused_says_both(project: Project) -> None:
    project.run("queue:pause", "--all")
    said = project.run("queue:hold").stdout
    assert "everything: held since" in said
    assert "all queues: paused" in said
    assert "Resting" in project.run("about").stdout
    assert "held since" in project.run("queue:resume", "--all").stdout
