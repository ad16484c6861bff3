"""`tabur dev` and `queue:listen`: real processes, changed code, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.worker.workshop import until

JOBS = """
import subprocess, sys, time
from pathlib import Path
from tabur import Tabur

jobs = Tabur.from_env()

@jobs.job(queue="mail")
def greet(name: str) -> None:
    print("hello {name} " + name, flush=True)

@jobs.job(timeout=300)
def hang() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    Path("hanging").write_text(str(child.pid))
    time.sleep(300)
"""
WEB = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from shop_jobs import greet

def home(request):
    greet.dispatch(name="WORD")
    return PlainTextResponse("WORD")

app = Starlette(routes=[Route("/", home)])
"""


class Dev:
    """A project in `folder`, and a command that runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._family: set[psutil.Process] = set()
        self.write("shop_jobs", JOBS)
        self.write("shop_web", WEB)
        (folder / "pyproject.toml").write_text(
            '[tool.tabur]\napp = "shop_jobs:jobs"\nweb = "shop_web:app"\n'
        )
        self.tabur("migrate")

    def write(self, module: str, code: str) -> None:
        beside = self.folder / f"{module}.new"
        beside.write_text(code, "utf-8")
        beside.replace(self.folder / f"{module}.py")

    def tabur(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tabur", *words],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def start(self, *words: str) -> None:
        with (self.folder / "output.txt").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tabur", *words],
                cwd=self.folder,
                env=self._environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text("utf-8")

    def says(self, pattern: str, times: int = 1) -> None:
        until(lambda: len(re.findall(pattern, self.output)) >= times, f"{pattern}: {self.output}")
        self.family()

    def answers(self) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None

    def family(self) -> set[psutil.Process]:
        """All that it has started so far and that was seen."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            self._family |= set(psutil.Process(self.process.pid).children(recursive=True))
        return self._family

    def left(self) -> list[psutil.Process]:
        _, alive = psutil.wait_procs(self._family, timeout=5)
        return alive

    def ends(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.family()
        self.process.send_signal(how)
        return self.process.wait(40)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.family()
            self.process.send_signal(signal.SIGINT)
            self.process.wait(40)
        for each in self._family:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def _environment(self) -> dict[str, str]:
        own = ("QUEUE_", "DATABASE_", "TABUR_", "REDIS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return kept | {"TABUR_ENV": "local"}


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    dev = Dev(tmp_path)
    yield dev
    dev.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.mark.timeout(180)
@pytest.mark.parametrize("options", [(), ("--poll",)])
def test_web_and_worker_start_anew_when_code_changes(options: tuple[str, ...], dev: Dev) -> None:
    dev.start("dev", f"--port={dev.port}", *options)
    until(lambda: dev.answers() == "WORD", dev.output)
    dev.says(r"worker +\| hello \{name\} WORD")
    dev.says(r"worker +\| .* greet \.+ .* DONE")
    assert re.search(r"web +\| INFO: +.*GET / HTTP", dev.output)
    dev.write("shop_web", WEB.replace("WORD", "other"))
    until(lambda: dev.answers() == "other", dev.output)
    dev.says(r"shop_web.py changed: starting anew")
    dev.says(r"hello \{name\} other")  # the worker works again
    assert dev.ends(signal.SIGINT) == 0
    assert dev.left() == []


@pytest.mark.timeout(180)
def test_a_syntax_error_waits_for_the_next_change(dev: Dev) -> None:
    dev.start("dev", f"--port={dev.port}")
    until(lambda: dev.answers() == "WORD", dev.output)
    dev.write("shop_web", WEB + "\n)")
    dev.says(r"SyntaxError")
    dev.says(r"web has ended \(exit code 1\): waiting for a change of the code")
    assert dev.process is not None
    assert dev.process.poll() is None
    dev.write("shop_web", WEB)
    until(lambda: dev.answers() == "WORD", dev.output)
    assert dev.ends(signal.SIGTERM) == 0
    assert dev.left() == []


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_the_end_leaves_nothing(how: signal.Signals, dev: Dev) -> None:
    """Not what a job has started either, and the job is not lost."""
    dev.start("dev", "--no-web")
    dev.tabur("tinker", "-c", "from shop_jobs import hang; hang.dispatch()")
    hanging = dev.folder / "hanging"
    until(lambda: hanging.exists() and hanging.read_text(), dev.output)
    assert int(hanging.read_text()) in {each.pid for each in dev.family()}
    assert dev.ends(how) == 0
    assert dev.left() == []
    assert "1" in dev.tabur("queue:monitor", "default")


def test_what_is_missing_is_said(dev: Dev) -> None:
    (dev.folder / "pyproject.toml").write_text('[tool.tabur]\napp = "shop_jobs:jobs"\n')
    dev.start("dev")
    dev.says("No web: give --web module:app")
    dev.says(r"Processing jobs from the \[default,mail\] queues")
    assert dev.ends(signal.SIGINT) == 0


@pytest.mark.timeout(120)
def test_listen_is_a_worker_that_starts_anew(dev: Dev) -> None:
    dev.start("queue:listen", "--queue=mail", "--grace=5")
    dev.tabur("tinker", "-c", "from shop_jobs import greet; greet.dispatch(name='you')")
    dev.says(r"hello \{name\} you")
    dev.write("shop_jobs", JOBS.replace("hello", "welcome"))
    dev.says(r"shop_jobs.py changed: starting anew")
    dev.tabur("tinker", "-c", "from shop_jobs import greet; greet.dispatch(name='you')")
    dev.says(r"welcome \{name\} you")
    assert dev.ends(signal.SIGINT) == 0
    assert dev.left() == []


def test_what_cannot_be_run(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    dev.start("dev", "--web=nonsense")
    assert dev.process is not None
    assert dev.process.wait(30) == 1
    assert "--web 'nonsense': write it as package.module:app." in dev.output
