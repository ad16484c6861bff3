"""Exit codes of a child, and what it is told when it starts."""

from __future__ import annotations

import signal

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

#: After these nothing died under a job: what was cut off runs again, uncharged.
ORDERLY = frozenset({EXIT_DONE, EXIT_STUCK, EXIT_MEMORY, EXIT_FAILED, EXIT_BROKEN})


class Hello(msgspec.Struct, frozen=True):
    """What a child is told first. `warm`: how many processes for jobs to start ahead."""

    app: str
    connection: str
    paths: list[str]
    worker: str
    options: WorkOptions
    warm: int = 0


def said(code: int) -> str:
    """An exit code as a person would say it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
