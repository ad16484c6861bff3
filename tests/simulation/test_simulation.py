"""Fleets of workers in virtual time: what was promised holds, whatever their seed has in store.

`tests/faults` runs two hundred seeds more, and `make chaos` thousands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tabur.drivers.database.driver import DatabaseDriver
from tabur.testing.simulation import Broken, Simulator
from tabur.testing.simulation.__main__ import main
from tests.simulation.mutations import MUTATIONS

ALWAYS_FOUND = next(each for each in MUTATIONS if each.what == "failed() is not called")
#: A seed in which it is found.
FOUND_IN = 2


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


def test_each_seed_keeps_every_promise(simulator: Simulator) -> None:
    for seed in range(1, 16):
        simulator.check(seed)


def test_a_world_is_busy_and_in_trouble(simulator: Simulator) -> None:
    """Else nothing could be found in it."""
    worlds = [simulator.run(seed) for seed in range(1, 16)]
    assert sum(each.runs for each in worlds) > sum(each.jobs for each in worlds) > 150
    assert sum(each.unanswered for each in worlds) > 100
    assert all(each.calls > 10 for each in worlds)


def test_one_seed_is_one_history(simulator: Simulator) -> None:
    for seed in (3, 5, 8):
        once, again = simulator.run(seed), simulator.run(seed)
        assert once.lines == again.lines
        assert once.digest == again.digest
    assert simulator.run(3).digest != simulator.run(5).digest


def test_one_seed_is_one_history_in_every_process() -> None:
    """Not even the order of a set may change it."""
    told = []
    for hashes in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-m", "tabur.testing.simulation", "--json", "--seeds=15"],
            env=os.environ | {"PYTHONHASHSEED": hashes},
            check=True,
            capture_output=True,
            text=True,
        )
        told.append([json.loads(line)["digest"] for line in ran.stdout.splitlines()])
    assert told[0] == told[1]
    assert len(set(told[0])) == 15


def test_it_runs_on_any_driver_that_takes_a_clock(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(clock: Callable[[], int]) -> DatabaseDriver:
        made.append(tmp_path / f"{len(made)}.sqlite3")
        return DatabaseDriver(f"sqlite:///{made[-1]}", clock=clock)

    simulator = Simulator(make)
    for seed in range(1, 4):
        simulator.check(seed)
    assert all(file.exists() for file in made)


def test_a_broken_promise_is_told_with_the_command_that_tells_its_story(
    simulator: Simulator,
) -> None:
    with ALWAYS_FOUND.made(), pytest.raises(Broken) as broken:
        simulator.check(FOUND_IN)
    assert "was called 0 times" in str(broken.value)
    assert f"python -m tabur.testing.simulation --seed {FOUND_IN} --trace" in str(broken.value)
    assert "BROKEN" in broken.value.history.lines[-1]


def test_from_the_command_line() -> None:
    fine = CliRunner().invoke(main, ["--seeds=2"])
    assert fine.exit_code == 0
    assert "2 seeds, 0 broken" in fine.output
    story = CliRunner().invoke(main, ["--seed=1", "--trace"])
    assert "starts job" in story.output
    with ALWAYS_FOUND.made():
        broken = CliRunner().invoke(main, ["--seeds=3"])
    assert broken.exit_code == 1
    assert f"seed {FOUND_IN}: failed() of job" in broken.output


def test_the_workers_modules_are_as_before_afterwards(simulator: Simulator) -> None:
    import time

    from tabur.worker.running import pump
    from tabur.worker.supervision import supervisor

    simulator.run(1)
    assert vars(supervisor)["monotonic"] is time.monotonic
    assert vars(pump)["sleep"] is time.sleep
