"""What processes write down while a scenario runs: each appends to files of its own, far from the
stores that are being broken.

- `effects`: the start and the end of every attempt.
- `turns`: every exchange of a worker with its store that settled or claimed something.
- `dispatches`: what every dispatch came to, as its caller saw it.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

STARTED, ENDED = 0, 1
DONE, REFUSED, UNKNOWN, UNCLEAR = "done", "refused", "unknown", "unclear"


class Effect(NamedTuple):
    """`at`: nanoseconds of the clock that all processes of a machine share (monotonic)."""

    what: int
    number: int
    attempt: int
    pid: int
    at: int
    token: bytes


class Turn(NamedTuple):
    """`at` when it began, and how long it took: nanoseconds."""

    at: int
    took: int
    settled: int
    claimed: int


class Dispatch(NamedTuple):
    """Jobs `first` … `first + jobs - 1`, dispatched in one transaction.

    DONE, it said. REFUSED: it raised that nothing was sent. UNKNOWN: it raised that nobody knows.
    UNCLEAR: it raised something else.
    """

    first: int
    jobs: int
    way: str
    verdict: str
    error: str
    at: int
    took: int
    tries: int

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.jobs)


_EFFECT, _TURN = struct.Struct("<Bqiiq16s"), struct.Struct("<qqii")
Entry = TypeVar("Entry", Effect, Turn)


class Writer:
    """One file of this process. Entries are appended whole, each by one system call: what was
    written survives a SIGKILL of the writer."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._file = os.open(
            folder / f"{os.getpid()}.{kind}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )

    def effect(self, effect: Effect) -> None:
        os.write(self._file, _EFFECT.pack(*effect))

    def turn(self, turn: Turn) -> None:
        os.write(self._file, _TURN.pack(*turn))

    def dispatch(self, dispatch: Dispatch) -> None:
        os.write(self._file, json.dumps(dispatch).encode() + b"\n")


def effects(folder: Path) -> list[Effect]:
    """All of them, in the order of time."""
    found = [
        Effect(*entry)
        for file in folder.glob("*.effects")
        for entry in _EFFECT.iter_unpack(_whole(file, _EFFECT.size))
    ]
    found.sort(key=lambda each: each.at)
    return found


def newest_effects(folder: Path) -> Iterator[Effect]:
    """The last one of each process."""
    for file in folder.glob("*.effects"):
        with file.open("rb") as content:
            whole = file.stat().st_size // _EFFECT.size
            if whole:
                content.seek((whole - 1) * _EFFECT.size)
                yield Effect(*_EFFECT.unpack(content.read(_EFFECT.size)))


def turns(folder: Path) -> dict[int, list[Turn]]:
    """By process."""
    return {
        int(file.stem): [Turn(*entry) for entry in _TURN.iter_unpack(_whole(file, _TURN.size))]
        for file in folder.glob("*.turns")
    }


def dispatches(folder: Path) -> Iterator[Dispatch]:
    for file in folder.glob("*.dispatches"):
        for line in file.read_text("utf-8").splitlines():
            yield Dispatch(*json.loads(line))


def _whole(file: Path, size: int) -> bytes:
    """Without an entry that is just being written."""
    content = file.read_bytes()
    return content[: len(content) // size * size]
