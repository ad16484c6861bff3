"""The bench keeps working: a small run of all of it, and its refusal of wrong counts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.ledger import Ledger, WrongCountError, refuse_unless_exact

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
    ).stdout


@pytest.mark.timeout(240)
def test_the_whole_bench_runs_small() -> None:
    table = run("bench", "--quick")

    for line in ("dispatch one by one", "drain, async, 1 process, 200 slots", "pick-up", "import"):
        assert line in table


@pytest.mark.timeout(120)
def test_the_layouts_are_compared() -> None:
    table = run("bench.layout", "--quick")

    assert "records + ready/waiting + outcomes" in table
    assert "moved whole" in table


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
