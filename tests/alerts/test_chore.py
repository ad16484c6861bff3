"""Watching beside the scheduler: it delays nothing, never ends, and costs nothing where there are
no alerts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tabur import Tabur
from tabur.alerts.chore import alert_chore
from tabur.errors import StoreUnavailable
from tests.alerts.receivers import Receiver
from tests.alerts.shop import Shop


def test_a_look_that_goes_wrong_is_said_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, http: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    shop.only("backlog")
    shop.app.alerts.slack(http.url)
    shop.fill(1_001)
    chore = alert_chore(shop.app)

    def away(prefix: str) -> None:
        raise StoreUnavailable("The store does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(shop.store.driver.notes, "read", away)
        chore()
        chore()
    assert caplog.messages == ["alerts: nothing could be looked at: The store does not answer."]
    chore()
    assert len(http.requests) == 1


def test_a_declaration_that_is_wrong_ends_no_scheduler(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = Tabur(connection="memory", alert_slack_url="nonsense")
    alert_chore(jobs)()
    (said,) = caplog.messages
    assert "The address of the Slack webhook is no address" in said


def test_a_file_of_operators_that_is_broken_ends_no_scheduler(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.tabur.alerts\n", "utf-8")
    jobs = Tabur(connection="memory")
    (chore,) = (each for each in jobs.chores() if each.name == "Looking for alerts")
    chore.run()
    (said,) = caplog.messages
    assert "pyproject.toml cannot be read" in said


def test_the_scheduler_has_the_chore_where_there_are_alerts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs = Tabur(connection="memory")
    assert "Looking for alerts" not in [each.name for each in jobs.chores()]
    jobs.alerts.backlog()
    (chore,) = (each for each in jobs.chores() if each.name == "Looking for alerts")
    assert chore.every == 60


SHOP = """
from tabur import Tabur
jobs = Tabur.from_env()
{alerts}

@jobs.job(queue="mail")
def send() -> None: ...

@jobs.schedule.every_minute()
@jobs.job()
def tidy() -> None: ...
"""
ALERTS = """
jobs.alerts.off("disk")
jobs.alerts.backlog(max=5)
"""


class Place:
    """A shop on SQLite in a folder of its own, and commands run in it."""

    def __init__(self, folder: Path, alerts: str, *, more: str = "") -> None:
        self.folder = folder
        (folder / "shop.py").write_text(SHOP.format(alerts=alerts) + more, "utf-8")
        self.run("migrate")

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, module: str = "tabur") -> str:
        process = self.start(
            "-m", module, *(("--app", "shop:jobs") if module == "tabur" else ()), *words
        )
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said

    def fill(self, count: int) -> None:
        code = f"from shop import jobs, send; jobs.dispatch_many(send() for _ in range({count}))"
        with self.start("-c", code) as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said

    def ticks(self, schedule: str) -> list[datetime]:
        """When they were decided."""
        shown = json.loads(self.run("schedule:history", schedule, "--json"))
        return [datetime.fromisoformat(each["decided_at"]) for each in shown]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/jobs.sqlite3")
    monkeypatch.setenv("QUEUE_CONNECTION", "database")
    return tmp_path


@pytest.mark.timeout(120)
def test_crontab_looks_and_waits_until_it_is_told(environment: Path, http: Receiver) -> None:
    place = Place(environment, f"{ALERTS}jobs.alerts.slack({http.url!r})\n")
    place.fill(6)
    place.run("schedule:run")
    (request,) = http.requests
    assert "Queue backlog detected: 6 jobs wait on queue mail" in request.json["text"]


@pytest.mark.timeout(120)
def test_a_channel_that_hangs_delays_no_tick(environment: Path, http: Receiver) -> None:
    hanging = f"jobs.alerts.slack({http.url + '/hangs'!r}, name='hanging')\n"
    often = "jobs.schedule.job(send()).every_second().name('often')\n"
    place = Place(environment, f"{ALERTS}{hanging}", more=often)
    http.hangs.add("/hangs")
    place.fill(6)
    with place.start("-m", "tabur", "--app", "shop:jobs", "schedule:work") as running:
        deadline = time.monotonic() + 60
        while not http.at("/hangs"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        since = datetime.now(UTC)
        while not any(each > since for each in place.ticks("often")):
            assert time.monotonic() < deadline
        assert not http.released.is_set()
        running.terminate()
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said


IMPORTED = """
import sys
from tabur.cli.group import tabur
try:
    tabur(["--app", "shop:jobs", "schedule:run"], prog_name="tabur")
finally:
    print("\\n".join(sorted(sys.modules)))
"""


def test_without_alerts_nothing_of_them_is_imported(environment: Path) -> None:
    place = Place(environment, "")
    process = place.start("-c", IMPORTED)
    said, _ = process.communicate(timeout=60)
    modules = said.split()
    assert "tabur.scheduler.ticker" in modules, said
    assert [
        each for each in modules if each.startswith(("tabur.alerts", "smtplib", "apprise"))
    ] == []
