"""Counts executions exactly: each appends its number and process to one file, which is read later.

A result with a lost or a doubled job is refused: what is fast by not doing its work is not fast.
Rivals use it in their own environments: nothing but Python is needed.
"""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ENTRY = struct.Struct("<iiq")  # number of the job, process, CLOCK_MONOTONIC in nanoseconds
PIECE = ENTRY.size * 65_536  # read at once: a sustained run leaves hundreds of megabytes


class Ledger:
    """One append-only file (or fifo). Entries of this size are appended whole by every process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._process = os.getpid()
        os.register_at_fork(after_in_child=self._forked)

    def mark(self, number: int) -> None:
        """The job of this number has started."""
        os.write(self._file, ENTRY.pack(number, self._process, time.monotonic_ns()))

    def _forked(self) -> None:
        self._process = os.getpid()


def ledger() -> Ledger:
    """The one of this measurement, for the jobs of an adapter."""
    return Ledger(Path(os.environ["BENCH_LEDGER"]))


def executions(path: Path) -> int:
    return path.stat().st_size // ENTRY.size if path.exists() else 0


def processes(path: Path) -> Counter[int]:
    """How many jobs each process has run."""
    if not path.exists():
        return Counter()
    return Counter(process for _, process, _ in _entries(path))


def refuse_unless_exact(path: Path, count: int) -> None:
    """Raises unless each of the numbers 0 … count - 1 stands in the file exactly once."""
    ran = bytearray(count)  # times each number ran, up to 255: one byte each for millions
    unknown = 0
    for number, _, _ in _entries(path):
        if 0 <= number < count:
            ran[number] = min(ran[number] + 1, 255)
        else:
            unknown += 1
    lost = ran.count(0)
    doubled = count - lost - ran.count(1)
    if lost or doubled or unknown:
        raise WrongCountError(f"{count} jobs: {lost} lost, {doubled} ran twice, {unknown} unknown")


class WrongCountError(Exception):
    """Jobs were lost or doubled; the figure is worth nothing."""


def _entries(path: Path) -> Iterator[tuple[int, int, int]]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield from ENTRY.iter_unpack(piece[: len(piece) // ENTRY.size * ENTRY.size])
