"""Every example in README.md and docs/ runs, in an empty folder and an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, blocks

RUN = [page for page in PAGES if any(each.language == "python" for each in blocks(page))]


def environment() -> dict[str, str]:
    """Ours without what would change where jobs go."""
    own = ("QUEUE_", "DATABASE_", "TABUR_", "REDIS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return kept | {"PYTHONPATH": str(ROOT)}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_page_runs(page: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_page", str(page)],
        check=False,
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in RUN}
    assert {"README.md", "docs/getting-started.md", "docs/jobs.md"} <= names
