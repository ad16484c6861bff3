"""Jobs that do not end: each hangs on its first attempt, in its own way, and ends at once on the
second. `CHAOS_TIMEOUT` is what they may take."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from chaos.app import jobs, mark
from chaos.ledger import ENDED, OVERLAPPED, RAISED, STARTED
from chaos.workers import lives
from tabur import JobContext

TIMEOUT = float(os.environ.get("CHAOS_TIMEOUT", "5"))
FOR_EVER = 1_000_000


@jobs.job(tries=2, timeout=TIMEOUT)
def hung_alone(ctx: JobContext, number: int, how: str) -> None:
    with _marked(ctx, number):
        if ctx.attempt == 1:
            _hang(how)


@jobs.job(tries=2, timeout=TIMEOUT, isolation="thread")
def hung_thread(ctx: JobContext, number: int, how: str) -> None:
    with _marked(ctx, number):
        if ctx.attempt == 1:
            _hang(how)


@jobs.job(tries=2, timeout=TIMEOUT)
async def hung_loop(ctx: JobContext, number: int, how: str) -> None:
    with _marked(ctx, number):
        if ctx.attempt > 1 or how == "ends":
            return
        if how == "waits":
            await asyncio.sleep(FOR_EVER)
        elif how == "swallows":
            while True:
                with contextlib.suppress(BaseException):
                    await asyncio.sleep(0.01)
        else:
            _hang(how)  # and all other coroutines of this process with it


@contextlib.contextmanager
def _marked(ctx: JobContext, number: int) -> Iterator[None]:
    """Notes where it runs for as long as it does, and asks the system whether the run before still
    does: the process is there, and the run has not left."""
    note = Path(os.environ["CHAOS_PLACE"]) / f"hung-{number}"
    if note.exists() and lives(int(note.read_text("ascii"))):
        mark(OVERLAPPED, ctx, number)
    note.write_text(str(os.getpid()), "ascii")
    mark(STARTED, ctx, number)
    try:
        yield
    except BaseException:
        mark(RAISED, ctx, number)
        raise
    else:
        mark(ENDED, ctx, number)
    finally:
        note.unlink()


def _hang(how: str) -> None:
    match how:
        case "sleeps":
            time.sleep(FOR_EVER)
        case "freezes":
            ctypes.PyDLL(None).sleep(FOR_EVER)  # unlike CDLL it keeps the interpreter's lock
        case "ignores_term":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(FOR_EVER)
        case "swallows":
            while True:
                with contextlib.suppress(BaseException):
                    time.sleep(0.01)
        case "reads":
            ours, theirs = socket.socketpair()
            ours.recv(1)
            theirs.close()


__all__ = ["jobs"]
