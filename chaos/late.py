"""Jobs that are stopped with their worker: the first run of each waits until it may go on, ends in
a way of its own, and says so too late. The second one is the one that counts."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from chaos.app import book, jobs, mark
from chaos.ledger import ENDED, STARTED
from tabur import JobContext

#: How the first run ends, by number.
COMPLETES, RELEASES, RAISES = range(3)
#: Seconds between two looks at the gate.
LOOK = 0.02


def is_first_run(number: int) -> bool:
    """Asks the disk: no counter of the store's is trusted with it."""
    try:
        (Path(os.environ["CHAOS_PLACE"]) / f"late-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def is_open(gate: str) -> bool:
    return (Path(os.environ["CHAOS_PLACE"]) / gate).exists()


@jobs.job(tries=3)
async def late(ctx: JobContext, number: int, gate: str) -> str:
    mark(STARTED, ctx, number)
    token = ctx.job.token.hex()
    ctx.progress(1, 2, message=token)
    first = is_first_run(number)
    while first and not is_open(gate):  # noqa: ASYNC110  # another process opens it
        await asyncio.sleep(LOOK)
    ctx.progress(2, message=token)
    if first and number % 3 == RELEASES:
        ctx.release()
    if first and number % 3 == RAISES:
        raise ValueError("too late")
    mark(ENDED, ctx, number)
    return token


@jobs.job(tries=3)
def late_booked(ctx: JobContext, number: int, gate: str) -> str:
    """Stopped before its transaction or, where that holds up nobody, within it."""
    mark(STARTED, ctx, number)
    token = ctx.job.token.hex()
    ctx.progress(1, 2, message=token)
    first = is_first_run(number)
    within = number % 2 == 0 and not os.environ["DATABASE_URL"].startswith("sqlite")
    while first and not within and not is_open(gate):
        time.sleep(LOOK)
    with ctx.transaction() as session:
        book(session, ctx, number)
        ctx.result = token
        while first and within and not is_open(gate):
            time.sleep(LOOK)
    return token


__all__ = ["jobs"]
