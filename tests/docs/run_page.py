"""Runs one page of the documentation as a reader would: `python -m tests.docs.run_page PAGE`.

In the current folder, which is to be empty, from top to bottom:
- a block with a title is written to that file;
- `python` runs, all of a page in one namespace, `await` at the top level included;
- in `console`, lines with `$ tabur …` and `$ python …` are run, and what the page shows below them
  must come, in that order; digits, ids and dots may differ.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

from tests.docs.pages import ROOT, Block, blocks

#: Commands that do not end by themselves are left to tests of their own.
ENDLESS = re.compile(r"uvicorn|queue:work(?!.*--(?:once|stop-when-empty|max-jobs|max-time))")
#: Where commands are run too; on other pages they stand for what a reader has, not for a story.
WITH_COMMANDS = (
    *("README.md", "docs/alerts.md", "docs/balancing.md", "docs/commands.md", "docs/deployment.md"),
    *("docs/encryption.md", "docs/getting-started.md", "docs/jobs.md", "docs/middleware.md"),
    *("docs/retention.md", "docs/schedules.md", "docs/transactions.md"),
)


def run(page: Path) -> None:
    name = page.relative_to(ROOT).as_posix()
    module = types.ModuleType("page")
    sys.modules["page"] = module
    for block in blocks(page):
        if block.title is not None:
            write(block)
        elif block.language == "python":
            execute(block, name, module)
        elif block.language == "console" and name in WITH_COMMANDS:
            type_in(block, name)


def write(block: Block) -> None:
    assert block.title is not None
    file = Path(block.title)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.code, encoding="utf-8")


def execute(block: Block, name: str, module: types.ModuleType) -> None:
    code = compile(
        "\n" * (block.line - 1) + block.code,
        name,
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    made = eval(code, module.__dict__)  # noqa: S307  # our own pages
    if inspect.iscoroutine(made):
        asyncio.run(made)


def type_in(block: Block, name: str) -> None:
    """Run the commands of a block and compare what they print with what the page shows."""
    for command, shown in _commands(block.code):
        words = shlex.split(command, comments=True)
        if words[0] not in _PROGRAMS or ENDLESS.search(command):
            continue
        done = subprocess.run(
            [*_PROGRAMS[words[0]], *words[1:]],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        )
        _compare(f"{name}: $ {command}", shown, done.stdout)
        expected = 1 if "fails" in command.partition("#")[2] else 0
        assert done.returncode == expected, f"{name}: $ {command}\n{done.stdout}"


def _commands(code: str) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in code.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() and found:
            found[-1][1].append(line)
    return found


def _compare(where: str, shown: list[str], printed: str) -> None:
    left = [_shape(line) for line in printed.splitlines()]
    for line in shown:
        if line.strip() == "…":
            continue
        assert _shape(line) in left, f"{where}\ndoes not print\n{line}\nbut\n{printed}"
        del left[: left.index(_shape(line)) + 1]


def _shape(line: str) -> str:
    line = re.sub(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "ID", line)
    line = re.sub(r"\d+", "0", line)
    return " ".join(re.sub(r"\.{2,}", "...", line).split())


_PROGRAMS = {"tabur": [sys.executable, "-m", "tabur"], "python": [sys.executable]}

if __name__ == "__main__":
    run(Path(sys.argv[1]))
