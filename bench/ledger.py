"""Counts executions exactly: each appends its number and process to one file, which is read later.

A result with a lost or a doubled job is refused: what is fast by not doing its work is not fast.
"""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from pathlib import Path

ENTRY = struct.Struct("<iiq")  # number of the job, process, CLOCK_MONOTONIC in nanoseconds


class Ledger:
    """One append-only file (or fifo). Entries of this size are appended whole by every process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._process = os.getpid()

    def mark(self, number: int) -> None:
        """The job of this number has started."""
        os.write(self._file, ENTRY.pack(number, self._process, time.monotonic_ns()))


def executions(path: Path) -> int:
    return path.stat().st_size // ENTRY.size if path.exists() else 0


def processes(path: Path) -> Counter[int]:
    """How many jobs each process has run."""
    if not path.exists():
        return Counter()
    content = path.read_bytes()
    whole = len(content) // ENTRY.size * ENTRY.size
    return Counter(process for _, process, _ in ENTRY.iter_unpack(content[:whole]))


def refuse_unless_exact(path: Path, count: int) -> None:
    """Raises unless each of the numbers 0 … count - 1 stands in the file exactly once."""
    ran = Counter(number for number, _, _ in ENTRY.iter_unpack(path.read_bytes()))
    lost = [number for number in range(count) if not ran[number]]
    doubled = [number for number, times in ran.items() if times > 1]
    unknown = [number for number in ran if not 0 <= number < count]
    if lost or doubled or unknown:
        raise WrongCountError(
            f"{count} jobs: {len(lost)} lost, {len(doubled)} ran twice, {len(unknown)} unknown"
        )


class WrongCountError(Exception):
    """Jobs were lost or doubled; the figure is worth nothing."""
