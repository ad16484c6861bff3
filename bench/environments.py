"""A virtual environment for each rival, made when it is first measured, under var/rivals."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from bench.processes import ROOT

FOLDER = ROOT / "var" / "rivals"


def python_of(name: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of a rival's environment; made anew when its requirements have changed.

    Raises EnvironmentFailed with pip's own words."""
    folder = FOLDER / name
    python, made = folder / "bin" / "python", folder / "requirements"
    wanted = "\n".join((sys.version, *requirements))
    if made.exists() and made.read_text() == wanted:
        return python
    print(f"making an environment for {name} in {folder.relative_to(ROOT)}", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    pip = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
        check=False,
        capture_output=True,
        text=True,
    )
    if pip.returncode:
        raise EnvironmentFailed(f"{name}: {pip.stderr.strip()[-1_000:]}")
    made.write_text(wanted)
    return python


class EnvironmentFailed(Exception):
    """What a rival needs could not be installed; it is left out."""
