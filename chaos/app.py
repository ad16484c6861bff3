"""The application that is broken: its jobs write down that they ran, and its workers each turn
with the store. The store comes from the environment, as a user's would; `CHAOS_PLACE` is where the
ledger lies, `CHAOS_HOST` on which host it runs, `CHAOS_LOSING` the share of lost answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from chaos.claiming import WatchedClaiming, writer
from chaos.ledger import COMMITTED, ENDED, RAISED, STARTED, Effect, Process
from chaos.numbering import raises_first
from tabur import JobContext, Tabur
from tabur.drivers.contract import Driver


class WatchedTabur(Tabur):
    def driver_of(self, connection: str) -> Driver:
        driver = super().driver_of(connection)
        if not isinstance(driver.claiming, WatchedClaiming):
            losing = float(os.environ.get("CHAOS_LOSING", "0"))
            driver.claiming = WatchedClaiming(driver.claiming, losing=losing)
        return driver


jobs = WatchedTabur.from_env(None)
writer("processes").process(
    Process(os.getpid(), os.getppid(), os.getsid(0), os.environ.get("CHAOS_HOST", ""))
)


def mark(what: int, ctx: JobContext, number: int) -> None:
    writer("effects").effect(
        Effect(
            *(what, number, ctx.attempt, os.getpid(), time.monotonic_ns()),
            token=ctx.job.token,
            job=ctx.job.id,
        )
    )


def raise_first(ctx: JobContext, number: int) -> None:
    if ctx.attempt == 1 and raises_first(number):
        mark(RAISED, ctx, number)
        raise ValueError(f"{number}: the first attempt always does")


@jobs.job(tries=3)
async def light(ctx: JobContext, number: int, ms: int = 0) -> None:
    mark(STARTED, ctx, number)
    if ms:
        await asyncio.sleep(ms / 1000)
    raise_first(ctx, number)
    mark(ENDED, ctx, number)


@jobs.job(tries=3)
def heavy(ctx: JobContext, number: int, ms: int = 0) -> None:
    mark(STARTED, ctx, number)
    if ms:
        time.sleep(ms / 1000)
    raise_first(ctx, number)
    mark(ENDED, ctx, number)


@jobs.job(tries=3)
def booked(ctx: JobContext, number: int, ms: int = 0) -> None:
    """Its end is its row: the count reads them as it reads the ledger."""
    mark(STARTED, ctx, number)
    if ms:
        time.sleep(ms / 1000)
    raise_first(ctx, number)
    with ctx.transaction() as session:
        book(session, ctx, number)
    mark(COMMITTED, ctx, number)


def book(session: Any, ctx: JobContext, number: int) -> None:
    from sqlalchemy import text

    row = {
        "number": number,
        "attempt": ctx.attempt,
        "pid": os.getpid(),
        "at": time.monotonic_ns(),
        "token": ctx.job.token.hex(),
    }
    # No unique key: a row that is written twice is to be counted, not refused.
    insert = "INSERT INTO bookings (number, attempt, pid, at, token) VALUES "
    session.execute(text(f"{insert} (:number, :attempt, :pid, :at, :token)"), row)
