"""Starts the workers under measurement as a user would, and looks at what they cost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


def tabur_worker(*, processes: int, concurrency: int) -> list[str]:
    worker = ["-m", "tabur", "--app", "bench.noop_app:jobs", "queue:work", "--quiet"]
    sizes = ["--processes", str(processes), "--concurrency", str(concurrency)]
    return [sys.executable, *worker, *sizes]


def huey_worker() -> list[str]:
    """Its consumer with the settings that were measured as its fastest."""
    consumer = [sys.executable, "-m", "huey.bin.huey_consumer", "bench.huey_app.huey"]
    return [*consumer, "-w", "1", "-d", "0.01", "-m", "0.01", "-q"]


@contextlib.contextmanager
def running(
    command: list[str], environment: Mapping[str, str], *, log: Path
) -> Iterator[psutil.Process]:
    """The command in a session of its own, stopped with everything it started."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                print(f"{' '.join(command)} did not stop on SIGTERM", file=sys.stderr)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One process of the worker: seconds of CPU since it began, and megabytes."""

    pid: int
    role: str
    cpu: float
    rss: float
    uss: float


def costs(parent: psutil.Process) -> list[Cost]:
    """The process and everything below it; children are told apart by whose child they are."""
    found = []
    for process in [parent, *parent.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times, memory = process.cpu_times(), process.memory_full_info()
            helper = "resource_tracker" in " ".join(process.cmdline())
            role = "supervisor" if process.pid == parent.pid else "helper" if helper else "child"
            found.append(
                Cost(
                    pid=process.pid,
                    role=role,
                    cpu=times.user + times.system,
                    rss=memory.rss / 1e6,
                    uss=memory.uss / 1e6,
                )
            )
    return found


def wait_until(condition: object, *, seconds: float, what: str) -> None:
    """Polls a callable every millisecond; raises TimeoutError with `what` when time is up."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(0.001)
