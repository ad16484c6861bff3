"""What a supervisor and a child tell each other: orders, and exit codes."""

from __future__ import annotations

import signal
from enum import StrEnum

import msgspec

from tabur.worker.options import WorkOptions

EXIT_DONE = 0
EXIT_STUCK = 1
"""A job did not end at its timeout: the process is replaced."""
EXIT_MEMORY = 12
EXIT_FAILED = 70
"""An error of Tabur itself; it has been printed, and another process takes over."""
EXIT_BROKEN = 78
"""It cannot work at all; it has said why."""


class Hello(msgspec.Struct, frozen=True):
    """What a child is told first. `warm`: how many processes for jobs to start ahead; `board`: the
    path of its board."""

    app: str
    connection: str
    paths: list[str]
    worker: str
    options: WorkOptions
    board: str
    warm: int = 0


class What(StrEnum):
    WORK = "work"
    """Claim, from all queues but those named. The first such order begins the work: until then the
    worker is not known in the store, and nobody would find its jobs if it died."""
    DRAIN = "drain"
    """Claim no more, finish what runs however long it takes, end: another queue needs the room, or
    nobody does."""
    STOP = "stop"
    """Claim no more, finish what runs within the grace, end."""
    NOW = "now"
    """End: what runs is handed back."""


class Order(msgspec.Struct, frozen=True):
    what: What
    leave: tuple[str, ...] = ()
    """Queues that are paused."""


def said(code: int) -> str:
    """An exit code as a person would say it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
