"""The samples are accepted, and wrong arguments are refused, by mypy and by pyright."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCEPTED, REFUSED = HERE / "accepted.py", HERE / "refused.py"


def mypy(file: Path) -> set[int]:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Found" in done.stdout or "Success" in done.stdout, done.stdout + done.stderr
    return {int(line) for line in re.findall(rf"{file.name}:(\d+): error", done.stdout)}


def pyright(file: Path) -> set[int]:
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    return {
        each["range"]["start"]["line"] + 1
        for each in answer["generalDiagnostics"]
        if each["severity"] == "error"
    }


checkers = pytest.mark.parametrize("checker", [mypy, pyright])


@pytest.mark.timeout(180)
@checkers
def test_the_samples_are_accepted(checker: Callable[[Path], set[int]]) -> None:
    assert checker(ACCEPTED) == set()


@pytest.mark.timeout(180)
@checkers
def test_each_wrong_line_is_refused_and_no_other(checker: Callable[[Path], set[int]]) -> None:
    marked = {
        number
        for number, line in enumerate(REFUSED.read_text().splitlines(), start=1)
        if line.endswith("# refused")
    }
    assert checker(REFUSED) == marked
