"""`make demo`: drives itself, ends cleanly, and says in one line why it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from backoffice.demo.processes import free_port


def _start(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "backoffice.demo"],
        env=os.environ | {"BACKOFFICE_VAR": str(folder), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_it_drives_the_main_job_by_itself(tmp_path: Path) -> None:
    demo = _start(tmp_path, DEMO_EXIT="1", PORT="1")

    said, _ = demo.communicate(timeout=55)

    assert demo.returncode == 0, said
    assert "1981 imported, 0 updated, 19 rejected" in said
    assert "p95" in said
    assert list(tmp_path.iterdir()) == [], "its data was temporary"


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        demo = _start(tmp_path, PORT=str(port))
        said, _ = demo.communicate(timeout=30)

    assert demo.returncode == 1
    assert said == f"Port {port} is taken. Choose another: PORT={port + 1} make demo\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    demo = _start(tmp_path, PORT=str(free_port()))
    assert demo.stdout is not None
    for line in demo.stdout:
        if "Ctrl-C stops everything" in line:
            break
    family = psutil.Process(demo.pid).children(recursive=True)
    assert len(family) >= 2

    demo.send_signal(number)
    demo.communicate(timeout=30)

    assert demo.returncode == 0
    _, left = psutil.wait_procs(family, timeout=5)
    assert left == []
    assert (tmp_path / "backoffice.sqlite3").exists()


def test_one_that_dies_takes_the_others_with_it(tmp_path: Path) -> None:
    demo = _start(tmp_path, PORT=str(free_port()), QUEUE_CONNECTION="memory")

    began = time.monotonic()
    said, _ = demo.communicate(timeout=50)

    assert demo.returncode == 1, said
    assert "the worker ended by itself" in said
    assert time.monotonic() - began < 50
