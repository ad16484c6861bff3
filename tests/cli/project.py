"""A small project on SQLite, and the command run in it."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tabur import Tabur
from tabur.cli.group import tabur
from tabur.worker.inline import drain

APP = """
from tabur import JobContext, Tabur

jobs = Tabur.from_env()

@jobs.job(queue="mail", tries=2)
def send(to: str) -> None:
    raise RuntimeError(f"no such box: {to}")

@jobs.job()
def greet(name: str = "you") -> str:
    return f"hello {name}"
"""


class Project:
    """Lies in `folder`, which is the current one; `module` holds `jobs`, `send` and `greet`."""

    def __init__(self, folder: Path, module: str) -> None:
        self.folder = folder
        self.module = module
        (folder / f"{module}.py").write_text(APP, "utf-8")

    def run(self, *arguments: str, given: str | None = None, code: int = 0) -> Result:
        """Run the command, which must end with `code`; `given` is typed into it."""
        result = CliRunner().invoke(tabur, list(arguments), input=given, prog_name="tabur")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def error(self, *arguments: str, code: int = 1) -> str:
        """The one line that a command says when it cannot do what it was asked for."""
        result = self.run(*arguments, code=code)
        assert result.stderr.startswith("tabur: ")
        assert result.stderr.count("\n") == 1, result.stderr
        return result.stderr

    @property
    def jobs(self) -> Tabur:
        app: Tabur = self._imported().jobs
        return app

    def dispatch(self, job: str, **arguments: Any) -> str:
        handle = getattr(self._imported(), job).dispatch(**arguments)
        return str(handle.id)

    def work(self) -> None:
        """Run all that waits, here and now, back-off left out."""
        drain(self.jobs.runtime)

    def _imported(self) -> Any:
        return import_module(self.module)

    def close(self) -> None:
        module = sys.modules.pop(self.module, None)
        if module is not None and isinstance(getattr(module, "jobs", None), Tabur):
            module.jobs.close()


def make_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("QUEUE_CONNECTION", "TABUR_DEBUG", "TABUR_KEY"):
        monkeypatch.delenv(name, raising=False)
    module = f"shop_{folder.name.replace('-', '_')}"
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("TABUR_APP", f"{module}:jobs")
    monkeypatch.setenv("TABUR_ENV", "local")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{folder}/jobs.sqlite3")
    return Project(folder, module)
