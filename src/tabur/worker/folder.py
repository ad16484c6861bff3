"""The folder of one supervisor while it works, for whoever looks from outside: what it is, and the
boards of it and its children (`tabur health`)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from tabur.worker.board import Board

_ABOUT = "about.json"


class About(msgspec.Struct, frozen=True):
    """What a supervisor says of itself. `processes`: how many children it keeps."""

    pid: int
    app: str
    connection: str
    queues: tuple[str, ...]
    processes: int
    sleep: float
    """Seconds that an idle child may wait between two looks at the store."""


class RunFolder:
    """Made by a supervisor in `base`; gone when it ends as it should."""

    def __init__(self, base: Path, about: About) -> None:
        self.base = base
        self.path = base / f"{about.pid}-{os.urandom(3).hex()}"
        self.is_seen = True
        try:
            self.path.mkdir(parents=True)
        except OSError:
            self.is_seen = False  # nobody who looks finds it; working goes on
            self.path = Path(tempfile.mkdtemp(prefix="tabur-"))
        (self.path / _ABOUT).write_bytes(msgspec.json.encode(about))
        self.board = Board(self.path / "supervisor.board")

    def remove(self) -> None:
        self.board.close()
        shutil.rmtree(self.path, ignore_errors=True)


def supervisors(base: Path) -> Iterator[tuple[About, Path]]:
    """Those that have left a folder in `base`, dead ones among them."""
    for folder in sorted(base.glob("*-*/")):
        with suppress(OSError, msgspec.DecodeError):
            yield msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About), folder


def boards(folder: Path) -> dict[str, Board]:
    """The boards in a supervisor's folder, by the name of the worker; its own is `supervisor`."""
    found = {}
    for path in sorted(folder.glob("*.board")):
        with suppress(OSError, ValueError):
            found[path.stem] = Board(path)
    return found
