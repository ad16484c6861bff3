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


@contextlib.contextmanager
def running(
    command: list[str], environment: Mapping[str, str], *, log: Path
) -> Iterator[psutil.Process]:
    """The command in a session of its own, stopped with everything it started."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        everything = psutil.Process(process.pid)
        try:
            yield everything
        finally:
            stop(process)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would point a contestant at another store, with what `environment`
    says. The root of the project is on the path: rivals find their adapters there."""
    ours = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**ours, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", **environment}


FOREIGN = {"QUEUE_CONNECTION", "DATABASE_URL", "REDIS_URL", "VIRTUAL_ENV", "PYTHONHOME"}


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str], patience: float = 10) -> None:
    """SIGTERM, then SIGKILL for all of its group."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        print(f"{process.args!r} did not stop on SIGTERM", file=sys.stderr)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One process of a worker: seconds of CPU since it began, and megabytes."""

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


def cpu(workers: list[psutil.Process]) -> float:
    """Seconds of CPU of all their processes that live."""
    total = 0.0
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [worker, *worker.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += sum(process.cpu_times()[:2])
    return total


def alive(workers: list[psutil.Process]) -> bool:
    return all(
        worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers
    )


def wait_until(condition: object, *, seconds: float, what: str) -> None:
    """Polls a callable every millisecond; raises TimeoutError with `what` when time is up."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.001)
