"""The application that is broken: its jobs write down that they ran, and its workers each turn
with the store. The store comes from the environment, as a user's would; `CHAOS_PLACE` is where the
ledger lies.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from chaos.ledger import ENDED, STARTED, Effect, Turn, Writer
from chaos.numbering import raises_first
from tabur import JobContext, Tabur
from tabur.drivers.contract import Claiming, Driver, Exchange, Exchanged
from tabur.model.records import Attachment, Crash


@cache
def writer(kind: str) -> Writer:
    return Writer(Path(os.environ["CHAOS_PLACE"]), kind)


class TimedClaiming:
    """A driver's claiming, with every turn written down."""

    def __init__(self, inner: Claiming) -> None:
        self._inner = inner
        self._known = False

    def exchange(self, turn: Exchange) -> Exchanged:
        began = time.monotonic_ns()
        answer = self._inner.exchange(turn)
        took = time.monotonic_ns() - began
        if answer.claimed or turn.settle or not self._known:
            self._known = True  # the first one says that this process works
            writer("turns").turn(Turn(began, took, len(turn.settle), len(answer.claimed)))
        return answer

    def release_token(self, token: bytes) -> int:
        return self._inner.release_token(token)

    def release_worker(self, worker: str, *, crash: Crash | None = None) -> int:
        return self._inner.release_worker(worker, crash=crash)

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        return self._inner.held(worker)

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        return self._inner.attach(job_id, token, attachment)


class WatchedTabur(Tabur):
    def driver_of(self, connection: str) -> Driver:
        driver = super().driver_of(connection)
        if not isinstance(driver.claiming, TimedClaiming):
            driver.claiming = TimedClaiming(driver.claiming)
        return driver


jobs = WatchedTabur.from_env(None)


def _mark(what: int, ctx: JobContext, number: int) -> None:
    writer("effects").effect(
        Effect(what, number, ctx.attempt, os.getpid(), time.monotonic_ns(), ctx.job.token)
    )


def _raise_first(ctx: JobContext, number: int) -> None:
    if ctx.attempt == 1 and raises_first(number):
        raise ValueError(f"{number}: the first attempt always does")


@jobs.job(tries=3)
async def light(ctx: JobContext, number: int, ms: int = 0) -> None:
    _mark(STARTED, ctx, number)
    if ms:
        await asyncio.sleep(ms / 1000)
    _raise_first(ctx, number)
    _mark(ENDED, ctx, number)


@jobs.job(tries=3)
def heavy(ctx: JobContext, number: int, ms: int = 0) -> None:
    _mark(STARTED, ctx, number)
    if ms:
        time.sleep(ms / 1000)
    _raise_first(ctx, number)
    _mark(ENDED, ctx, number)
