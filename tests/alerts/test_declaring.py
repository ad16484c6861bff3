"""What is declared in code, what operators set, and which of the two holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tabur import ConfigError, Tabur
from tabur.alerts.rules import RULES, Backlog, DiskFull, FailureRate, StuckJob
from tests.alerts.receivers import SECRET


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def app(table: str | None = None, **settings: Any) -> Tabur:
    if table is not None:
        Path("pyproject.toml").write_text(f"[tool.tabur.alerts]\n{table}\n", "utf-8")
    return Tabur(connection="memory", **settings)


def rule(jobs: Tabur, name: str) -> Any:
    (found,) = (each for each in jobs.alerts.plan().rules if each.name == name)
    return found


def test_all_rules_hold_by_default_and_nobody_is_told() -> None:
    jobs = app()
    plan = jobs.alerts.plan()
    assert {each.name for each in plan.rules} == set(RULES)
    assert (plan.repeat, plan.channels, plan.windows) == (4 * 3_600, (), ())
    assert not jobs.has_alerts


def test_thresholds_in_code() -> None:
    jobs = app()
    jobs.alerts.backlog(max=500)
    jobs.alerts.backlog(max=50_000, queue="reports", after=timedelta(minutes=10))
    jobs.alerts.stuck_job(max=timedelta(hours=1))
    jobs.alerts.disk(percent=80, paths=["/srv"])
    jobs.alerts.off("dead_scheduler")
    rules = jobs.alerts.plan().rules
    assert Backlog(max=500) in rules
    assert Backlog(max=50_000, queue="reports", after=600) in rules
    assert StuckJob(max=3_600) in rules
    assert DiskFull(percent=80, paths=("/srv",)) in rules
    assert "dead_scheduler" not in {each.name for each in rules}
    assert jobs.has_alerts


def test_operators_have_the_last_word() -> None:
    jobs = app(
        """
        repeat = 3600
        resolve_after = 60
        email = ["ops@shop.example", "owner@shop.example"]
        disk = false
        dead_scheduler = {}
        backlog = [{ max = 7 }, { max = 70, queue = "mail" }]
        failure_rate = { percent = 25, window = 600, min = 1 }
        mute = [{ from = "23:00", to = "05:00", days = ["fri"], timezone = "Asia/Baghdad" }]
        """
    )
    jobs.alerts.backlog(max=500)
    jobs.alerts.off("dead_scheduler")
    plan = jobs.alerts.plan()
    names = {each.name for each in plan.rules}
    assert "disk" not in names
    assert "dead_scheduler" in names
    assert Backlog(max=7) in plan.rules
    assert Backlog(max=500) not in plan.rules
    assert Backlog(max=70, queue="mail") in plan.rules
    assert FailureRate(percent=25, window=600, min=1) in plan.rules
    assert (plan.repeat, plan.calm) == (3_600, 60)
    assert [each.name for each in plan.channels] == ["email"]
    assert [each.days for each in plan.windows] == [(4,)]


def test_the_table_alone_is_enough() -> None:
    assert app("backlog = { max = 5 }").has_alerts
    assert app("").has_alerts


def test_addresses_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ALERT_EMAIL": "ops@shop.example, owner@shop.example",
        "ALERT_WEBHOOK_URL": "https://hooks.example/secret-path",
        "ALERT_WEBHOOK_SECRET": SECRET,
        "ALERT_SLACK_URL": "https://hooks.slack.com/services/secret-path",
        "ALERT_URLS": "ntfy://ntfy.example/shop json://x.example",
        "ALERT_LOCALE": "ar-IQ",
    }.items():
        monkeypatch.setenv(name, value)
    jobs = Tabur.from_env(connection="memory")
    assert jobs.has_alerts
    jobs.alerts.slack("https://hooks.slack.com/services/another")
    plan = jobs.alerts.plan()
    assert [each.name for each in plan.channels] == [
        *("slack", "email", "webhook", "slack-2", "apprise", "apprise-2")
    ]
    assert {each.language for each in plan.channels} == {"ar"}
    assert "secret-path" not in repr(jobs.settings)
    assert SECRET not in repr(jobs.settings)


def test_the_plan_may_be_made_again_and_again() -> None:
    jobs = app("backlog = { max = 5 }", alert_email="ops@shop.example")
    assert jobs.alerts.plan().rules == jobs.alerts.plan().rules
    assert [each.name for each in jobs.alerts.plan().channels] == ["email"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda alerts: alerts.backlog(max=0), "backlog: .*`max`"),
        (lambda alerts: alerts.backlog(max="many"), "backlog: .*`max`"),
        (lambda alerts: alerts.backlog(max=True), "backlog: .*`max`"),
        (lambda alerts: alerts.backlog_age(max=float("nan")), "backlog_age: .*`max`"),
        (lambda alerts: alerts.backlog_age(max=timedelta(0)), "backlog_age: .*`max`"),
        (lambda alerts: alerts.failure_rate(percent=100), "failure_rate: .*`percent`"),
        (lambda alerts: alerts.no_worker(queue=""), "no_worker: .*`queue`"),
        (lambda alerts: alerts.stuck_job(times=0.5), "stuck_job: .*`times`"),
        (lambda alerts: alerts.disk(percent=-1), "disk: .*`percent`"),
        (lambda alerts: alerts.off("backlgo"), "no rule 'backlgo'; there are: backlog,"),
        (lambda alerts: alerts.timing(repeat="4h"), "repeat='4h': seconds"),
        (lambda alerts: alerts.timing(resolve_after=-1), "resolve_after=-1: seconds"),
        (lambda alerts: alerts.email(), "Mail to whom"),
        (lambda alerts: alerts.email("ops"), "'ops' is no address"),
        (lambda alerts: alerts.email("a@b.c\nBcc: x@y.z"), "is no address"),
        (lambda alerts: alerts.slack("https://x.example", locale="fr"), "en and ar"),
        (lambda alerts: alerts.slack("https://x.example", name=""), "name"),
        (lambda alerts: alerts.mute_daily("2am", "3am"), "no time of the day"),
        (lambda alerts: alerts.mute_daily("02:00", "03:00", rule="x"), "no rule 'x'"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(call: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        call(app().alerts)


def test_two_channels_of_one_name() -> None:
    jobs = app()
    jobs.alerts.slack("https://x.example")
    with pytest.raises(ConfigError, match="Two channels are called 'slack'"):
        jobs.alerts.slack("https://y.example")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("backlgo = { max = 5 }", "no rule 'backlgo'"),
        ("backlgo = false", "no rule 'backlgo'"),
        ("backlog = { maximum = 5 }", "backlog: .*maximum"),
        ("backlog = 5", "backlog: write a table"),
        ("backlog = true", "backlog: write a table"),
        ("repeat = '4h'", "repeat='4h'"),
        ("email = 'ops'", "no address"),
        ("email = [5]", "no address"),
        ("slack = 'https://hooks.slack.com/x'", "ALERT_SLACK_URL"),
        ("mute = [{ from = '02:00' }]", "write tables such as"),
        ("mute = [{ from = '02:00', to = '03:00', on = 'fri' }]", "write tables such as"),
    ],
)
def test_a_table_that_makes_no_sense(table: str, says: str) -> None:
    jobs = app(table)
    with pytest.raises(ConfigError, match=rf"pyproject\.toml, \[tool\.tabur\.alerts\]: .*{says}"):
        jobs.alerts.plan()


def test_alerts_that_are_no_table() -> None:
    Path("pyproject.toml").write_text("[tool.tabur]\nalerts = 5\n", "utf-8")
    with pytest.raises(ConfigError, match="has to be a table"):
        app().alerts.plan()


def test_addresses_of_the_environment_that_are_none() -> None:
    for settings in (
        {"alert_webhook_url": "https://x.example/token"},
        {"alert_slack_url": "hooks/token"},
        {"alert_urls": "token"},
        {"alert_email": "token"},
        {"alert_locale": "fr"},
    ):
        with pytest.raises(ConfigError):
            app(**settings).alerts.plan()
