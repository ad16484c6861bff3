"""alert:list, alert:check, alert:test, alert:mute and alert:unmute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.alerts.receivers import Receiver, receiver
from tests.cli.project import Project


@pytest.fixture
def http() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def watched(project: Project, http: Receiver) -> Project:
    """No worker works its queue, and a channel leads to `http`."""
    alerts = project.jobs.alerts
    alerts.off("disk")
    alerts.no_worker(after=0)
    alerts.slack(f"{http.url}/slack")
    return project


def titles(http: Receiver) -> list[str]:
    return [each.json["text"].partition("*\n")[0][1:] for each in http.requests]


def test_all_is_well(watched: Project, http: Receiver) -> None:
    assert "0 alerts fire." in watched.run("alert:check").stdout
    shown = watched.json("alert:check")
    assert shown == {"firing": 0, "alerts": [], "sent": {}, "unread": {}}
    assert http.requests == []


def test_what_fires_is_told_once_and_listed(watched: Project, http: Receiver) -> None:
    watched.dispatch("greet")
    said = watched.run("alert:check", code=1).stdout
    assert "[database] No worker works queue default, where jobs wait" in said
    assert "Channel slack" in said
    assert "1 alert fires." in said

    shown = watched.json("alert:check", code=1)
    assert (shown["firing"], shown["sent"]) == (1, {})
    (alert,) = shown["alerts"]
    assert (alert["rule"], alert["queue"], alert["phase"]) == ("no_worker", "default", "firing")
    assert titles(http) == ["[local] No worker works queue default, where jobs wait"]

    listed = watched.json("alert:list")
    states = {each["rule"]: each["state"] for each in listed["rules"]}
    assert states == {
        "backlog": "ok",
        "backlog_age": "ok",
        "failure_rate": "ok",
        "new_error": "ok",
        "no_worker": "firing",
        "dead_scheduler": "ok",
        "missed_tick": "ok",
        "stuck_job": "ok",
    }
    (rule,) = (each for each in listed["rules"] if each["rule"] == "no_worker")
    assert rule["since"] == alert["since"]
    assert [each["what"] for each in listed["alerts"]] == [alert["what"]]
    assert [each["name"] for each in listed["channels"]] == ["slack"]
    text = watched.run("alert:list").stdout
    assert "firing since" in text
    assert "max 1,000" in text


def test_a_mute_and_its_end(watched: Project, http: Receiver) -> None:
    watched.dispatch("greet")
    said = watched.run("alert:mute", "no_worker", "--for=2h", "--reason=we move house").stdout
    assert "[no_worker] is muted for 2:00:00." in said
    assert "tabur alert:unmute no_worker" in said
    assert "0 alerts fire." in watched.run("alert:check").stdout
    assert http.requests == []
    listed = watched.json("alert:list")
    (muted,) = listed["mutes"]
    assert (muted["rule"], muted["queue"], muted["reason"]) == ("no_worker", None, "we move house")
    assert [each["state"] for each in listed["rules"] if each["rule"] == "no_worker"] == ["muted"]
    assert "we move house" in watched.run("alert:list").stdout

    assert "[no_worker] is muted no more." in watched.run("alert:unmute", "no_worker").stdout
    assert "was not muted" in watched.run("alert:unmute", "no_worker").stdout
    watched.run("alert:check", code=1)
    assert len(http.requests) == 1


def test_mutes_of_a_queue_and_of_everything(watched: Project, http: Receiver) -> None:
    watched.dispatch("greet")
    watched.dispatch("send", to="x")
    watched.run("alert:mute", "all", "--queue=mail")
    watched.run("alert:check", code=1)
    assert titles(http) == ["[local] No worker works queue default, where jobs wait"]
    watched.run("alert:mute", "all")
    watched.run("alert:check")
    assert "2 mutes have ended." in watched.run("alert:unmute", "--every").stdout
    watched.run("alert:check", code=1)
    assert len(http.requests) == 2


def test_wrong_words(watched: Project) -> None:
    assert "There is no rule 'backlgo'; there are: backlog," in watched.error(
        "alert:mute", "backlgo"
    )
    assert "There is no rule 'x'" in watched.error("alert:unmute", "x")
    assert "Which rule?" in watched.error("alert:unmute", code=2)
    assert "Which rule?" in watched.error("alert:unmute", "all", "--every", code=2)
    assert "write 90 (seconds)" in watched.error("alert:mute", "all", "--for=soon", code=2)
    assert "There is no channel 'pager'; there are: slack." in watched.error("alert:test", "pager")


def test_a_test_by_each_channel(watched: Project, http: Receiver) -> None:
    watched.jobs.alerts.slack(f"{http.url}/second", name="second")
    http.answers["/second"] = 500
    said = watched.run("alert:test", code=1).stdout
    assert "slack" in said
    assert "It answered 500." in said
    assert watched.json("alert:test", "slack") == {"slack": None}
    assert "sent" in watched.run("alert:test", "slack").stdout
    assert titles(http)[0] == "[local] A test of the alerts"


def test_nothing_is_declared(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ALERT_EMAIL" in project.error("alert:test")
    assert "so no scheduler looks" in project.run("alert:list").stdout
    project.jobs.alerts.backlog(max=5)
    assert "told in the log alone" in project.run("alert:list").stdout


def test_before_the_tables_are_made(bare: Project) -> None:
    for command in ("alert:list", "alert:check"):
        assert "tabur migrate" in bare.error(command)


def test_a_table_of_operators_that_is_wrong(project: Project) -> None:
    (project.folder / "pyproject.toml").write_text("[tool.tabur.alerts]\nbacklog = { maxx = 5 }")
    said = project.error("alert:list")
    assert "[tool.tabur.alerts]: backlog: " in said
    assert "maxx" in said
