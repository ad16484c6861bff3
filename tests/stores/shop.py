"""A shop's jobs. Where they are kept, only the environment knows."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tabur import Job, JobContext, Tabur
from tabur.middleware import RateLimited, ThrottlesExceptions, WithoutOverlapping

jobs = Tabur.from_env()

LEDGER = Path(os.environ["LEDGER"])


def note(*words: object) -> None:
    with LEDGER.open("a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\n")


@jobs.job()
def double(n: int) -> int:
    return n * 2


@jobs.job()
async def double_lightly(n: int) -> int:
    await asyncio.sleep(0)
    return n * 2


@jobs.job()
def sum_up(ctx: JobContext) -> int:
    return sum(ctx.previous)


@jobs.job(isolation="process")
def gather(ctx: JobContext) -> dict[str, int]:
    return dict(ctx.results)


@jobs.job(isolation="process")
def whose_process() -> list[int]:
    return [os.getpid(), os.getppid()]


@jobs.job()
def mark(text: str) -> None:
    note(text)


@jobs.job(tries=3, backoff=[0.1, 0.6])
def flaky(ctx: JobContext, name: str) -> int:
    note(name, ctx.attempt, time.time())
    if ctx.attempt < 3:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@jobs.register
class Order(Job[str]):
    """Fails until a file with its number is there."""

    number: str

    def handle(self, ctx: JobContext) -> str:
        if not LEDGER.with_name(self.number).exists():
            raise LookupError(f"{self.number} is not paid — ادفع")
        return "shipped"

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note("failed()", self.number, type(error).__name__, ctx.attempt)


@jobs.job()
def patient(ctx: JobContext, name: str, seconds: float = 60) -> str:
    note(name, ctx.attempt)
    for _ in range(int(seconds * 20)):
        ctx.check_cancelled()
        time.sleep(0.05)
    return "done"


@jobs.job()
async def patient_lightly(ctx: JobContext, name: str, seconds: float = 60) -> str:
    note(name, ctx.attempt)
    for _ in range(int(seconds * 20)):
        ctx.check_cancelled()
        await asyncio.sleep(0.05)
    return "done"


@jobs.job()
def report(ctx: JobContext) -> dict[str, int]:
    ctx.progress(3, 12, unit="rows", message="قراءة")
    ctx.warn("the second is odd")
    while not LEDGER.with_name("go-on").exists():
        time.sleep(0.02)
    ctx.attach("رقم;اسم\n".encode(), name="rejected.csv", media_type="text/csv")
    ctx.progress(12)
    return {"rows": 12}


@jobs.job()
def meet(here: int, there: int) -> int:
    """Ends only when another is running beside it."""
    note("meet", here)
    while f"meet {there}\n" not in LEDGER.read_text():
        time.sleep(0.02)
    return os.getpid()


@jobs.job(middleware=[WithoutOverlapping(release_after=0.1), RateLimited(2, per=1)])
def one_at_a_time(ctx: JobContext, n: int) -> int:
    note("enters", n)
    time.sleep(0.1)
    note("leaves", n)
    return ctx.attempt


@jobs.job(tries=20, middleware=[ThrottlesExceptions(2, decay=60, backoff=0.5)])
async def calls_a_service(name: str) -> str:
    note(name)
    if not LEDGER.with_name(name).exists():
        raise ConnectionError("down")
    return "answered"
