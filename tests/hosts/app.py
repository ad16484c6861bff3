"""What runs on the hosts: jobs that write down where they are and that they live.

Each host has a ledger of its own, far from the store. All moments are of the monotonic clock, which
the hosts of one machine share, whatever their wall clocks say.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import JobContext, Tabur

jobs = Tabur.from_env(None)

#: Seconds between two signs of life.
TICK = 0.02


def mark(what: str, ctx: JobContext, number: int) -> None:
    line = f"{what} {number} {socket.gethostname()} {ctx.job.token.hex()} {time.monotonic()}\n"
    file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)


def told_to_finish() -> bool:
    return Path(os.environ["FINISH"]).exists()


@jobs.job()
async def short(ctx: JobContext, number: int) -> None:
    mark("start", ctx, number)
    await asyncio.sleep(0.1)
    mark("end", ctx, number)


@jobs.job(tries=2, backoff=1)
async def twice(ctx: JobContext, number: int) -> None:
    mark("start", ctx, number)
    if ctx.attempt == 1:
        raise ValueError("The first attempt always does.")
    mark("end", ctx, number)


@jobs.job()
def in_transaction(ctx: JobContext, number: int) -> None:
    """Stays between its checkpoint and its commit until it is told to finish."""
    mark("start", ctx, number)
    engine = create_engine(os.environ["DATABASE_URL"])
    jobs.install(engine)
    with Session(engine) as session:
        ctx.checkpoint(session, cursor=1)
        mark("locked", ctx, number)
        while not told_to_finish():
            time.sleep(TICK)
        session.commit()
    engine.dispose()
    mark("end", ctx, number)


# Three kinds that run until they are told to finish.


@jobs.job()
async def in_loop(ctx: JobContext, number: int) -> None:
    mark("start", ctx, number)
    while not told_to_finish():
        await asyncio.sleep(TICK)
        mark("alive", ctx, number)
    mark("end", ctx, number)


@jobs.job(timeout=60, isolation="thread")
def in_thread(ctx: JobContext, number: int) -> None:
    """Cannot be ended but with its process."""
    mark("start", ctx, number)
    while not told_to_finish():
        with contextlib.suppress(BaseException):
            time.sleep(TICK)
            mark("alive", ctx, number)
    mark("end", ctx, number)


@jobs.job(timeout=60)
def in_process(ctx: JobContext, number: int) -> None:
    mark("start", ctx, number)
    while not told_to_finish():
        time.sleep(TICK)
        mark("alive", ctx, number)
    mark("end", ctx, number)
