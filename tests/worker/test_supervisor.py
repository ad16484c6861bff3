"""The supervisor when signals and the store's troubles come at a bad moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tabur import State
from tabur.errors import StoreUnavailable
from tabur.model.records import WorkerRecord
from tabur.worker.options import WorkOptions
from tabur.worker.supervision.folder import About, RunFolder
from tabur.worker.supervision.supervisor import Supervisor
from tests.worker.workshop import CEILING, Workshop, reaches, until

ABOUT = About(os.getpid(), "shop:jobs", "database", ("default",), 1, 1.0)


def supervisor(
    shop: Workshop, said: list[str], *, beat: float = 5.0, lost: float = 30.0
) -> Supervisor:
    options = WorkOptions(output="quiet", grace=1.0, beat=beat, lost=lost)
    return Supervisor(
        f"{shop.name}:jobs",
        shop.jobs.driver,
        options,
        warm=False,
        prune=lambda: None,
        say=said.append,
        folder=RunFolder(shop.folder / "run", ABOUT),
        store="jobs",
    )


@contextmanager
def running(one: Supervisor) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield thread
    finally:
        one.stop("over")
        one.stop("over")
        thread.join(CEILING)
        assert not thread.is_alive()


def test_a_signal_while_a_child_starts_is_not_lost(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = supervisor(shop, [])
    workers = shop.jobs.driver.workers
    register = workers.register

    def signal_first(worker: WorkerRecord) -> None:
        one.stop("interrupted")
        register(worker)

    monkeypatch.setattr(workers, "register", signal_first)
    thread = threading.Thread(target=one.run)
    thread.start()
    thread.join(CEILING)
    assert not thread.is_alive()
    assert shop.children() == []


def test_a_store_that_does_not_answer_while_a_child_is_replaced(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = supervisor(shop, [])
    workers = shop.jobs.driver.workers
    register = workers.register
    calls: list[int] = []

    def fail_the_second(worker: WorkerRecord) -> None:
        calls.append(worker.pid)
        if len(calls) == 2:
            raise StoreUnavailable("locked for 30 s")
        register(worker)

    monkeypatch.setattr(workers, "register", fail_the_second)
    with running(one):
        handle = shop.module.patient.dispatch(seconds=0.5)
        shop.noted("patient ")
        os.kill(calls[0], signal.SIGKILL)
        until(lambda: len(calls) == 3)
        reaches(handle, State.COMPLETED)
        assert handle.status().attempt == 1
        assert [each.pid for each in shop.children()] == [calls[2]]


def test_jobs_go_on_when_nobody_reads_their_lines(shop: Workshop) -> None:
    """`tabur queue:work | head -1`."""
    reader, writer = os.pipe()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tabur", "queue:work", "--concurrency=1"],
        cwd=shop.folder,
        env=os.environ | shop.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    try:
        shop.module.quick.dispatch(n=1)
        assert os.read(reader, 1)
        os.close(reader)
        handles = [shop.module.quick.dispatch(n=n) for n in range(2, 6)]
        for handle in handles:
            reaches(handle, State.COMPLETED)
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=CEILING)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0
    assert b"Traceback" not in said
    assert b"Broken" not in said
