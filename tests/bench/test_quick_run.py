"""The bench keeps working: a small run of it, and its refusal of wrong counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.contestants import everybody
from bench.ledger import Ledger, WrongCountError, refuse_unless_exact
from bench.stores import STORES

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"DATABASE_URL", "REDIS_URL", "QUEUE_CONNECTION"}


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name not in SETTINGS},
    ).stdout


def quick(*arguments: str) -> str:
    """Of what needs no network: rivals are installed when they are first measured."""
    return run("bench", "--quick", "--contestant", "tabur", "--contestant", "bare", *arguments)


@pytest.mark.timeout(120)
def test_every_question_is_answered_on_sqlite() -> None:
    report = quick("--store", "sqlite")

    for line in (
        "| dispatch one by one |",
        "| dispatch many |",
        "| drain, async, 1 process, 200 slots |",
        "| pick-up when idle, p50 |",
        "| CPU of an idle worker, all its processes |",
        "| claim and settle, a million pending |",
        "| import tabur |",
    ):
        assert line in report
    assert "could not be measured" not in report


@pytest.mark.timeout(120)
def test_a_server_is_measured(redis_server: object) -> None:  # skips where it is missing
    report = quick("--store", "redis", "--only", "dispatch", "--only", "drain")

    assert "| drain, async, 1 process, 200 slots |" in report
    assert "could not be measured" not in report


@pytest.mark.timeout(60)
def test_dispatch_and_drain_at_once_are_counted() -> None:
    report = quick("--only", "sustained", "--store", "sqlite", "--minutes", "0.02")

    assert "| dispatch and drain at once, first minute |" in report
    assert "could not be measured" not in report


@pytest.mark.timeout(120)
def test_the_layouts_are_compared() -> None:
    table = run("bench.layout", "--quick")

    assert "records + ready/waiting + outcomes" in table
    assert "moved whole" in table


def test_every_rival_says_where_it_runs_and_what_it_needs() -> None:
    rivals = [each for each in everybody().values() if each.requirements]

    assert {"celery", "dramatiq", "huey", "pgqueuer", "procrastinate", "taskiq"} <= {
        each.name for each in rivals
    }
    for rival in rivals:
        assert set(rival.stores) <= set(STORES)
        assert all("==" in each for each in rival.requirements), f"{rival.name}: pin it"
        assert all(entry.settings and entry.drained for entry in rival.stores.values())
        assert (ROOT / f"{rival.module.replace('.', '/')}.py").exists()


@pytest.mark.parametrize(
    ("ran", "complaint"),
    [([0, 1], "1 lost"), ([0, 1, 2, 2], "1 ran twice"), ([0, 1, 2, 9], "1 unknown")],
)
def test_a_wrong_count_is_refused(tmp_path: Path, ran: list[int], complaint: str) -> None:
    ledger = Ledger(tmp_path / "ledger")
    for number in ran:
        ledger.mark(number)

    with pytest.raises(WrongCountError, match=complaint):
        refuse_unless_exact(ledger.path, 3)


def test_an_exact_count_is_accepted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    for number in (2, 0, 1):
        ledger.mark(number)

    refuse_unless_exact(ledger.path, 3)
