"""`import tabur` stays light: what takes long is imported when it is needed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: What nobody needs who only declares and makes jobs.
HEAVY = (
    *("sqlalchemy", "rich", "click", "starlette", "psutil", "sqlite3", "multiprocessing"),
    "cryptography",
)

DECLARE = """
jobs = tabur.Tabur()

@jobs.job(tries=3, backoff=tabur.exponential(30))
async def send(order_id: int) -> None: ...

@jobs.register
class Sync(tabur.Job[None]):
    table: str
    def handle(self, ctx): ...

send(order_id=1)
Sync(table="products")
"""


@pytest.mark.parametrize("also", ["", DECLARE])
def test_heavy_packages_are_not_imported(tmp_path: Path, also: str) -> None:
    code = (
        f"import sys\nimport tabur\n{also}\n"
        f"print(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    )
    # Without the variables by which coverage measures subprocesses: it imports some of them itself.
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env=quiet,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == []


def test_the_public_names() -> None:
    import tabur

    assert tabur.__all__ == sorted(tabur.__all__)
    for name in tabur.__all__:
        assert hasattr(tabur, name)


def test_nothing_forks_or_pickles() -> None:
    import tabur

    found = []
    for file in Path(tabur.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Attribute) and node.attr == "fork":
                names = ["fork"]
            found += [
                f"{file.name}: {name}"
                for name in names
                if name.partition(".")[0] in {"pickle", "multiprocessing", "fork"}
            ]
    assert found == []
