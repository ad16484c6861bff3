"""A project with jobs that note what they do, and the real worker as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tabur import JobHandle, State, Tabur
from tabur.model.records import WorkerRecord

T = TypeVar("T")

#: Seconds: how long anything is waited for. Generous: it is a ceiling, not a target.
CEILING = 40.0


class Workshop:
    """`jobs.py` in `folder` imported as `module`; each start and end of a job is a line of
    `ledger`."""

    def __init__(self, folder: Path, source: str, environment: dict[str, str]) -> None:
        self.folder = folder
        self.name = f"workshop_{folder.name.replace('-', '_')}"
        self._ledger = folder / "ledger.txt"
        self._ledger.touch()
        (folder / f"{self.name}.py").write_text(source, "utf-8")
        self.environment = environment
        self.workers: list[Worker] = []
        self.module: Any = None

    @property
    def jobs(self) -> Tabur:
        app: Tabur = self.module.jobs
        return app

    def load(self) -> None:
        self.module = import_module(self.name)
        self.jobs.migrate()

    def reload(self) -> Any:
        """The module, after its file was changed."""
        self.jobs.close()
        del sys.modules[self.name]
        invalidate_caches()
        self.module = import_module(self.name)
        return self.module

    def worker(self, *options: str, command: str = "queue:work") -> Worker:
        worker = Worker(self, (command, *options))
        self.workers.append(worker)
        return worker

    def work(self, *options: str) -> Worker:
        """Work until nothing is left."""
        worker = self.worker("--stop-when-empty", *options)
        worker.ended()
        return worker

    def run(self, *command: str, code: int = 0) -> str:
        """`tabur` in a process of its own, which must end with `code`; all that it printed."""
        return self.python("-m", "tabur", *command, code=code)

    def python(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CEILING,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def ledger(self, beginning: str = "") -> list[str]:
        lines = self._ledger.read_text("utf-8").splitlines()
        return [line for line in lines if line.startswith(beginning)]

    def noted(self, beginning: str, count: int = 1) -> list[str]:
        """Wait until `count` lines begin so."""

        def enough() -> list[str]:
            lines = self.ledger(beginning)
            return lines if len(lines) >= count else []

        return until(enough, f"{count} × {beginning!r} in {self.ledger()}")

    def children(self) -> list[WorkerRecord]:
        return list(self.jobs.driver.workers.list())

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        if self.module is not None:
            self.jobs.close()
            sys.modules.pop(self.name, None)


class Worker:
    """`tabur queue:work` as a process of its own; what it prints goes to a file."""

    def __init__(self, shop: Workshop, arguments: tuple[str, ...]) -> None:
        self._file = shop.folder / f"worker-{len(shop.workers)}.txt"
        with self._file.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tabur", *arguments],
                cwd=shop.folder,
                env=os.environ | shop.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._file.read_text("utf-8")

    def ended(self, code: int = 0) -> float:
        """Wait for its end, which must be with `code`; answers how long it took."""
        began = time.monotonic()
        try:
            found = self.process.wait(CEILING)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still working: {self.output}") from None
        assert found == code, f"ended with {found}: {self.output}"
        return time.monotonic() - began

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.stop()
            time.sleep(0.1)  # two signals of one kind that come together are one
            self.stop()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def until(condition: Callable[[], T], what: str = "", *, ceiling: float = CEILING) -> T:
    """Look until `condition` answers something true; answers that."""
    deadline = time.monotonic() + ceiling
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"never: {what or condition}"
        time.sleep(0.01)
    return answer


def reaches(handle: JobHandle[Any], state: State, *, ceiling: float = CEILING) -> None:
    until(
        lambda: handle.status().state is state, f"{state}, but {handle.status()}", ceiling=ceiling
    )


def make_workshop(
    folder: Path,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    store: Mapping[str, str] | None = None,
) -> Workshop:
    """`store` are the variables that name it: QUEUE_CONNECTION, DATABASE_URL, REDIS_URL; a SQLite
    file in `folder` unless given."""
    environment = {
        "TABUR_ATTACHMENTS": f"{folder}/attachments",
        "LEDGER": f"{folder}/ledger.txt",
        "PYTHONUNBUFFERED": "",  # as users have it
        **(store or {"DATABASE_URL": f"sqlite:///{folder}/jobs.sqlite3"}),
    }
    for name in ("QUEUE_CONNECTION", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(folder))
    shop = Workshop(folder, source, environment)
    environment["TABUR_APP"] = f"{shop.name}:jobs"
    return shop
