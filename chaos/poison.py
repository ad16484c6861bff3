"""Jobs that end the process they run in, or try to."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from chaos.app import jobs, mark
from chaos.ledger import STARTED
from tabur import JobContext

#: Bytes: more than a process may have here, and what it may have.
TOO_MUCH, ALLOWED = 8 << 30, 4 << 30


class Unheard(BaseException):
    """Passes every `except Exception`."""


@jobs.job()
def poison_thread(ctx: JobContext, number: int, how: str) -> None:
    mark(STARTED, ctx, number)
    _poison(how)


@jobs.job()
async def poison_loop(ctx: JobContext, number: int, how: str) -> None:
    mark(STARTED, ctx, number)
    _poison(how)


@jobs.job(timeout=60)
def poison_alone(ctx: JobContext, number: int, how: str) -> None:
    mark(STARTED, ctx, number)
    _poison(how)


def _poison(how: str) -> None:
    match how:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "exit_well":
            os._exit(0)  # a code that says all is well
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)  # what Linux does when memory is out
        case "memory":
            _run_out_of_memory()
        case "system_exit":
            raise SystemExit(3)
        case "unheard":
            raise Unheard("of")
        case "recursion":
            _poison_deeper(how)


def _run_out_of_memory() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (ALLOWED, before[1]))
    try:
        bytearray(TOO_MUCH)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _poison_deeper(how: str) -> None:
    _poison(how)


__all__ = ["jobs"]
