"""A program with a clock of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.clock import PROGRAM, Clock

TELL = """
import sys, time
for line in sys.stdin:
    before = time.monotonic()
    time.sleep(0.01)
    print(time.time(), before, time.monotonic() - before, flush=True)
"""
HOUR = 3600.0


@pytest.fixture
def clock(tmp_path: Path, require: Callable[..., None]) -> Clock:
    require(PROGRAM)
    return Clock(tmp_path / "clock", ahead=HOUR)


def test_a_program_goes_by_it_and_sees_it_set(clock: Clock) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TELL],
        env=clock.environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        ask, answers = program.stdin, program.stdout
        assert ask is not None
        assert answers is not None

        def told() -> tuple[float, float, float]:
            print(file=ask, flush=True)
            ahead, monotonic, slept = map(float, answers.readline().split())
            return ahead - time.time(), monotonic - time.monotonic(), slept

        ahead, monotonic, slept = told()
        assert ahead == pytest.approx(HOUR, abs=30)
        assert monotonic == pytest.approx(0, abs=30), "the monotonic clock is this machine's"
        assert slept < 30, "and so are sleeps"

        clock.step(-600)
        until = time.monotonic() + 30
        while told()[0] > HOUR - 300:
            assert time.monotonic() < until, "it is never seen to be set"
        ask.close()
