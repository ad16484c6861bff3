"""What processes write down while a scenario runs: each appends to files of its own, far from the
stores that are being broken.

- `effects`: the start and the end of every attempt.
- `turns`: every exchange of a worker with its store that settled or claimed something.
- `moves`: what a store answered to every single claim and settle in it.
- `dispatches`: what every dispatch came to, as its caller saw it.
- `processes`: whose child each process is, and on which host it runs.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

STARTED, ENDED, RAISED, COMMITTED, OVERLAPPED = range(5)
DISPATCHED, SKIPPED, ROLLED_BACK = range(5, 8)
DONE, REFUSED, UNKNOWN, UNCLEAR = "done", "refused", "unknown", "unclear"
CLAIMED, ACCEPTED, DECLINED, UNANSWERED, MISLAID = range(5)


class Effect(NamedTuple):
    """`at`: nanoseconds of the clock that all processes of a machine share (monotonic)."""

    what: int
    number: int
    attempt: int
    pid: int
    at: int
    token: bytes
    """Of the claim, which it may share with other jobs."""
    job: bytes = bytes(16)


class Turn(NamedTuple):
    """`at` when it began, and how long it took: nanoseconds."""

    at: int
    took: int
    settled: int
    claimed: int


class Move(NamedTuple):
    """One job of an exchange: CLAIMED, or MISLAID, since that answer was lost on purpose; or its
    settle was ACCEPTED, DECLINED or UNANSWERED.

    `asked` when the exchange began, `answered` when it ended. `ends`: the settle was the job's end.
    """

    what: int
    ends: bool
    asked: int
    answered: int
    job: bytes
    token: bytes


class Process(NamedTuple):
    """`session` and `parent` as they were when it began."""

    pid: int
    parent: int
    session: int
    host: str


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


_EFFECT, _TURN = struct.Struct("<Bqiiq16s16s"), struct.Struct("<qqii")
_MOVE = struct.Struct("<B?qq16s16s")
Entry = TypeVar("Entry", Effect, Turn, Move)


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

    def moves(self, moves: Sequence[Move]) -> None:
        """Those of one exchange."""
        os.write(self._file, b"".join(_MOVE.pack(*move) for move in moves))

    def dispatch(self, dispatch: Dispatch) -> None:
        os.write(self._file, json.dumps(dispatch).encode() + b"\n")

    def process(self, process: Process) -> None:
        os.write(self._file, json.dumps(process).encode() + b"\n")


def effects(folder: Path) -> list[Effect]:
    """All of them, in the order of time."""
    found = [Effect(*entry) for entry in _entries(folder, "effects", _EFFECT)]
    found.sort(key=lambda each: each.at)
    return found


def running(folder: Path, pid: int) -> int:
    """How many jobs a process runs now."""
    file = folder / f"{pid}.effects"
    if not file.exists():
        return 0
    entries = _EFFECT.iter_unpack(_whole(file, _EFFECT.size))
    return sum(1 if entry[0] == STARTED else -1 for entry in entries)


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


def moves(folder: Path) -> list[Move]:
    """All of them, in the order in which they were asked for."""
    found = [Move(*entry) for entry in _entries(folder, "moves", _MOVE)]
    found.sort(key=lambda each: each.asked)
    return found


def dispatches(folder: Path) -> Iterator[Dispatch]:
    for line in _lines(folder, "dispatches"):
        yield Dispatch(*json.loads(line))


def processes(folder: Path) -> dict[int, Process]:
    found = (Process(*json.loads(line)) for line in _lines(folder, "processes"))
    return {each.pid: each for each in found}


def _entries(folder: Path, kind: str, of: struct.Struct) -> Iterator[tuple[Any, ...]]:
    for file in folder.glob(f"*.{kind}"):
        yield from of.iter_unpack(_whole(file, of.size))


def _lines(folder: Path, kind: str) -> Iterator[str]:
    for file in folder.glob(f"*.{kind}"):
        yield from file.read_text("utf-8").splitlines()


def _whole(file: Path, size: int) -> bytes:
    """Without an entry that is just being written."""
    content = file.read_bytes()
    return content[: len(content) // size * size]
