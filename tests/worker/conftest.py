"""The jobs that the workers' tests run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workshop import Workshop, make_workshop

JOBS = """
import asyncio
import ctypes
import os
import signal
import threading
import time
from pathlib import Path

from tabur import Job, JobContext, Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


@jobs.job()
def quick(n: int = 0) -> int:
    note("quick", n)
    return n


@jobs.job()
async def light(n: int = 0) -> int:
    note("light", n)
    return n


@jobs.job(queue="high")
def urgent(n: int = 0) -> None:
    note("urgent", n)


@jobs.job(tries=3, backoff=[0.1, 0.6])
def flaky(ctx: JobContext, until: int = 3) -> int:
    note("flaky", ctx.attempt, time.time())
    if ctx.attempt < until:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@jobs.job()
def plain_failure() -> None:
    note("plain_failure", time.time())
    raise ValueError("as always")


@jobs.job(tries=2)
def releases(ctx: JobContext) -> int:
    note("releases", ctx.attempt, time.time())
    if ctx.attempt == 1:
        ctx.release(0.5)
    return ctx.attempt


@jobs.job(tries=5)
def gives_up(ctx: JobContext) -> None:
    note("gives_up")
    ctx.fail("no stock left")


@jobs.register
class Hooked(Job[None], tries=2):
    text: str

    def handle(self, ctx: JobContext) -> None:
        raise ValueError(self.text)

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note("failed()", self.text, type(error).__name__, ctx.attempt)


def note_failure(ctx: JobContext, error: BaseException) -> None:
    info = getattr(error, "info", None)  # of one that came out of another process
    kind = info.type.rpartition(".")[2] if info else type(error).__name__
    note("failed()", ctx.name, kind)


@jobs.register
class Deadly(Job[None]):
    def handle(self, ctx: JobContext) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note_failure(ctx, error)


@jobs.register
class Endless(Job[None], timeout=0.4):
    def handle(self, ctx: JobContext) -> None:
        time.sleep(60)

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note_failure(ctx, error)


@jobs.register
class EndlessLight(Job[None], timeout=0.4):
    async def handle(self, ctx: JobContext) -> None:
        await asyncio.sleep(60)

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note_failure(ctx, error)


@jobs.job()
def patient(ctx: JobContext, seconds: float = 60) -> str:
    note("patient", ctx.attempt)
    for _ in range(int(seconds * 20)):
        ctx.check_cancelled()
        time.sleep(0.05)
    note("patient-done")
    return "done"


@jobs.job()
async def patient_light(ctx: JobContext, seconds: float = 60) -> str:
    note("patient_light", ctx.attempt)
    await asyncio.sleep(seconds)
    return "done"


@jobs.job(isolation="process")
def patient_alone(ctx: JobContext) -> None:
    note("patient_alone", ctx.attempt, os.getpid())
    for _ in range(1200):
        ctx.check_cancelled()
        time.sleep(0.05)


@jobs.job(timeout=0.4)
async def slow_light() -> None:
    note("slow_light")
    await asyncio.sleep(60)


@jobs.job(timeout=0.4)
def hangs_alone() -> None:
    note("hangs_alone", os.getpid())
    time.sleep(60)


@jobs.job(timeout=300)
def freezes_alone() -> None:
    note("freezes_alone", os.getpid())
    ctypes.PyDLL(None).sleep(600)  # in C, and the lock stays held


@jobs.job(timeout=0.4)
def ignores_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("ignores_term", os.getpid())
    time.sleep(60)


@jobs.job(timeout=0.4, isolation="thread")
def loops() -> None:
    note("loops")
    while True:
        time.sleep(0.01)


@jobs.job(timeout=0.4, isolation="thread")
def hangs_in_thread() -> None:
    note("hangs_in_thread")
    time.sleep(60)


@jobs.job()
def dies() -> None:
    note("dies", os.getpid())
    os.kill(os.getpid(), signal.SIGSEGV)


@jobs.job()
def reports(ctx: JobContext) -> dict[str, int]:
    ctx.progress(1, 4, message="one of four", unit="rows")
    ctx.warn("the second is odd")
    ctx.attach(b"a;b\\n1;2\\n", name="rejected.csv", media_type="text/csv")
    ctx.progress(4)
    return {"rows": 4}


@jobs.job(timeout=30)
def reports_alone(ctx: JobContext) -> dict[str, int]:
    file = Path(os.environ["LEDGER"]).with_name("made.csv")
    file.write_bytes(b"a;b\\n")
    ctx.attach(file)
    for _ in ctx.track(range(3), unit="rows"):
        pass
    ctx.warn("odd")
    return {"rows": 3}


@jobs.job()
def whose(ctx: JobContext) -> None:
    note("whose", ctx.tenant, ctx.user, ctx.locale)
    if not ctx.queue == "children":
        whose.options(queue="children").dispatch()


@jobs.job()
def fat() -> None:
    global kept
    kept = bytearray(os.urandom(200_000_000))
    note("fat", os.getpid())
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, JOBS, monkeypatch)
    try:
        made.load()
        yield made
    finally:
        made.close()
