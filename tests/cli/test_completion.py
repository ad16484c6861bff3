"""The Tab key, in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tabur.cli.completion import keep_names
from tests.cli.project import Project

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


def completed(folder: Path, line: str) -> list[str]:
    """What bash offers behind `line`; the part that stands there already may be left out, as bash
    wants it."""
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "tabur"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tabur "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(tabur completion bash)"\n'
        f"COMP_LINE={line!r} COMP_POINT={len(line)}\n"
        "_tabur_completion\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@bash
@pytest.mark.timeout(180)
def test_commands_options_and_queues(bare: Project) -> None:
    assert completed(bare.folder, "tabur queue:pa") == ["pause"]  # behind the colon
    assert "migrate" in completed(bare.folder, "tabur m")
    assert {"--queue", "--queue-not-there"} & set(
        completed(bare.folder, "tabur queue:work --q")
    ) == {"--queue"}
    assert completed(bare.folder, "tabur queue:work --queue ") == []
    (bare.folder / "var" / "run").mkdir(parents=True)
    keep_names(bare.jobs)
    assert completed(bare.folder, "tabur queue:work --queue ma") == ["mail"]
    assert completed(bare.folder, "tabur queue:pause ") == ["default", "mail"]
    assert completed(bare.folder, "tabur queue:work --queue=default,m") == ["default,mail"]


def test_no_module_of_an_app_or_a_command_is_loaded_for_it(bare: Project) -> None:
    (bare.folder / "exploding.py").write_text("raise SystemExit('loaded')\n")
    code = (
        "import sys; from tabur.cli.group import tabur\n"
        "try: tabur(prog_name='tabur')\n"
        "except SystemExit: pass\n"
        "ours = sorted(name for name in sys.modules if name.startswith('tabur.cli'))\n"
        "print(ours, 'sqlalchemy' in sys.modules)"
    )
    line = {"_TABUR_COMPLETE": "bash_complete", "COMP_WORDS": "tabur queue:", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | line | {"TABUR_APP": "exploding:jobs"},
        capture_output=True,
        text=True,
        check=True,
        cwd=bare.folder,
    )
    assert "plain,queue:work" in done.stdout
    assert done.stdout.splitlines()[-1] == "['tabur.cli', 'tabur.cli.group'] False"


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(shell: str, project: Project) -> None:
    assert "_TABUR_COMPLETE" in project.run("completion", shell).stdout
    assert "Invalid value" in project.error("completion", "tcsh", code=2)
