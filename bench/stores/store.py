"""What the bench needs of a store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import psutil


class Store(Protocol):
    """One server, or one folder of files, of this run alone."""

    name: str
    title: str
    durability: str
    """What a commit means here, for us and for every rival alike."""
    variables: ClassVar[Mapping[str, str]]
    """The environment of a Tabur application on it; `{url}` is put in."""
    counts: str
    """What `statements` counts, in words."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def version(self) -> str: ...

    def take(self, folder: Path) -> str:
        """URL of an empty database; nothing else uses it until it is given back."""

    def give_back(self, url: str) -> None: ...

    def calm(self) -> None:
        """Write out what a fill has left, so that it falls on nobody's measurement."""

    def cpu(self) -> float:
        """Seconds of CPU of the server since it began; 0 where there is none."""

    def count_statements(self, url: str) -> None:
        """Begin counting on this database; connections made from now on are counted."""

    def statements(self, url: str) -> int | None:
        """How many a client has sent so far; None where nobody can know."""


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process, of its children, and of those that have ended."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(pid)
        total += sum(server.cpu_times()[:4])
        for child in server.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(child.cpu_times()[:4])
    return total


def numbers(prefix: str) -> Iterator[str]:
    """Names of databases: one for each measurement."""
    n = 0
    while True:
        n += 1
        yield f"{prefix}{n}"
