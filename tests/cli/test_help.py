"""The help: grouped, complete, and quick to come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

import tabur
from tabur.cli.group import COMMANDS, SECTIONS
from tabur.cli.group import tabur as group
from tests.cli.project import Project

COMMAND = [sys.executable, "-m", "tabur"]


def test_help_lists_every_command_in_its_section() -> None:
    shown = CliRunner().invoke(group, ["--help"]).stdout
    for section, commands in SECTIONS.items():
        assert f"{section}:" in shown
        for name, (_, text) in commands.items():
            assert name in shown
            assert text in shown
    assert CliRunner().invoke(group, []).stdout == shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(group, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: tabur {name}" in result.stdout or f" {name} " in result.stdout
    assert "--app" in result.stdout
    for line in result.stdout.splitlines():
        assert len(line) <= 80


def test_the_version() -> None:
    assert CliRunner().invoke(group, ["--version"]).stdout == f"tabur {tabur.__version__}\n"


def test_help_imports_no_client_library() -> None:
    script = (
        "import sys\n"
        "from tabur.cli.group import tabur\n"
        "try:\n    tabur(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'sqlalchemy', 'rich', 'psutil', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    # Without the variables by which coverage measures subprocesses: it imports some of them itself.
    quiet = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=quiet, capture_output=True, check=True
    )
    assert ended.stderr.strip() == b"[]"


def test_help_comes_quickly() -> None:
    """At most 100 ms of CPU above Python with click; three times that for a slow machine."""
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}

    def best(*arguments: str) -> float:
        spans = []
        for _ in range(3):
            began = os.times()
            subprocess.run(
                [sys.executable, *arguments], capture_output=True, check=True, env=environment
            )
            ended = os.times()
            spans.append(
                ended.children_user
                + ended.children_system
                - began.children_user
                - began.children_system
            )
        return min(spans)

    assert best("-m", "tabur", "--help") - best("-c", "import click") < 0.3


def test_through_the_installed_command(project: Project) -> None:
    installed = Path(sys.executable).with_name("tabur")
    ended = subprocess.run([installed, "about", "--json"], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["connection"] == "database"
    assert ended.stderr == b""


def test_an_error_through_a_real_process(bare: Project) -> None:
    ended = subprocess.run([*COMMAND, "queue:failed"], capture_output=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert ended.stderr.startswith(b"tabur: ")
    assert ended.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away(project: Project) -> None:
    module = import_module(project.module)
    project.jobs.dispatch_many(module.send(to="a long name " * 150) for _ in range(40))
    project.work()
    for arguments in (["--json"], ["--limit=0"]):
        process = subprocess.Popen(
            [*COMMAND, "queue:failed", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
        process.wait()


def test_ctrl_c_while_the_app_is_loaded(bare: Project) -> None:
    (bare.folder / "slow_shop.py").write_text(
        "import time\nprint('here', flush=True)\ntime.sleep(30)\n", "utf-8"
    )
    process = subprocess.Popen(
        [*COMMAND, "--app", "slow_shop:jobs", "migrate"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
