"""The jobs of the shop; each notes when it begins and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from tabur import JobContext, Tabur
from tabur.events import Event, JobEvent, WorkerEvent, WorkerStopping
from tabur.middleware import (
    InTransaction,
    Next,
    RateLimited,
    ThrottlesExceptions,
    WithoutOverlapping,
)

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with Path(os.environ["LEDGER"]).open("a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\n")


class Noting:
    """Around all jobs."""

    def handle(self, job: JobContext, next: Next) -> Any:
        note("around", job.name, os.getpid())
        return next(job)

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        note("around", job.name, os.getpid())
        return await next(job)


jobs.middleware(Noting())


def in_each_isolation(
    name: str, work: Callable[..., Any], middleware: list[Any], tries: int = 1
) -> None:
    """Three jobs that do the same: `<name>_loop`, `<name>_thread`, `<name>_process`."""

    async def loop(ctx: JobContext, n: int = 0) -> Any:
        return await asyncio.to_thread(work, ctx, n)

    def thread(ctx: JobContext, n: int = 0) -> Any:
        return work(ctx, n)

    def process(ctx: JobContext, n: int = 0) -> Any:
        return work(ctx, n)

    for each in (loop, thread, process):
        declare: Any = jobs.job(
            name=f"{name}_{each.__name__}",
            isolation=each.__name__,
            middleware=middleware,
            tries=tries,
        )
        globals()[f"{name}_{each.__name__}"] = declare(each)


def alone(ctx: JobContext, n: int) -> str:
    note("in", n, time.time())
    time.sleep(0.2)
    note("out", n, time.time())
    return "done"


def at_once(ctx: JobContext, n: int) -> int:
    note("began", n, time.time())
    return ctx.attempt


def calls_a_service(ctx: JobContext, n: int) -> str:
    note("called", n)
    if not (Path(os.environ["LEDGER"]).parent / "up").exists():
        raise ConnectionError("down")
    return "answered"


def waits(ctx: JobContext, n: int) -> None:
    note("waits", n, os.getpid())
    while not (Path(os.environ["LEDGER"]).parent / f"go-{n}").exists():
        time.sleep(0.05)


one_lane = WithoutOverlapping("lane", release_after=0.2, name="lanes")
limit = RateLimited(3, per=2, name="gateway")
breaker = ThrottlesExceptions(3, 60, backoff=1, name="service")
in_each_isolation("alone", alone, [one_lane])
in_each_isolation("limited", at_once, [limit])
in_each_isolation("fragile", calls_a_service, [breaker], tries=50)


@jobs.job(middleware=[WithoutOverlapping(lambda job: job.args.n, release_after=0.2)])
def held(ctx: JobContext, n: int, mark: str = "") -> None:
    note("held", n, mark, os.getpid())
    waits(ctx, n)


@jobs.job(isolation="process", middleware=[WithoutOverlapping("dies", release_after=0.2)])
def dies(die: bool) -> str:
    note("dies", die)
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@jobs.job(middleware=[WithoutOverlapping("skipped", skip=True)])
def once(n: int) -> str:
    note("once", n)
    while not (Path(os.environ["LEDGER"]).parent / f"go-{n}").exists():
        time.sleep(0.05)
    return "ran"


@jobs.job()
def child(n: int) -> None:
    note("child", n)


engine = create_engine(jobs.settings.database_url)
jobs.install(engine)
jobs.use_sessions(engine)


@jobs.job(tries=2, middleware=[InTransaction])
def invoice(ctx: JobContext, n: int) -> dict[str, int]:
    ctx.session.execute(text("INSERT INTO invoices (n) VALUES (:n)"), {"n": n})
    child.dispatch(n=n)
    jobs.dispatch_many([child(n=n)])
    note("invoice", n, ctx.attempt)
    if ctx.attempt == 1:
        raise ValueError("not yet")
    return {"invoice": n}


@jobs.listen(Event)
def hear(event: Event) -> None:
    if isinstance(event, JobEvent):
        note("heard", type(event).__name__, event.name)
    elif isinstance(event, WorkerEvent):
        reason = event.reason if isinstance(event, WorkerStopping) else ""
        note("heard", type(event).__name__, *event.queues, reason)


@jobs.job(timeout=0.4)
async def too_long() -> None:
    await asyncio.sleep(60)
