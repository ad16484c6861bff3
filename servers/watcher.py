"""Ends a server and removes its folder once the process that started it is gone, SIGKILL included.

    python -I -S watcher.py PID FOLDER SIGNAL

Started by `servers.process` beside each server; the standard library is all it needs.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

PATIENCE = 5.0  # seconds for a server to leave on its own, before SIGKILL


def processes_in(folder: Path) -> list[int]:
    """The processes that work in this folder: a server, its children, what prepares its data.

    Found by their working directory, since children outlive a killed parent and a number noted
    in a file is too late or too old. A terminal tells a shell that only looks around in there.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            where = (entry / "cwd").readlink()
            terminal = (entry / "stat").read_text().rpartition(")")[2].split()[4]
        except OSError:
            continue  # gone meanwhile, a zombie, or somebody else's
        if where.is_relative_to(folder) and terminal == "0":
            found.append(int(entry.name))
    return found


def end_all(folder: Path, how: signal.Signals, patience: float = PATIENCE) -> None:
    """Returns when no process works in the folder: first by this signal, in the end by SIGKILL."""
    send(processes_in(folder), how)
    until = time.monotonic() + patience
    while remaining := processes_in(folder):
        if how is signal.SIGKILL or time.monotonic() > until:
            send(remaining, signal.SIGKILL)
        time.sleep(0.01)


def send(pids: list[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def main(pid: int, folder: Path, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it was gone before we came here
        watched = os.pidfd_open(pid)
        if os.getppid() == pid:  # otherwise the number is another's by now
            select.select([watched], [], [])
    end_all(folder, how)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), signal.Signals(int(sys.argv[3])))
