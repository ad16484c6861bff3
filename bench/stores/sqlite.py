"""SQLite: a file in the folder of the measurement."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar


class SQLite:
    name = "sqlite"
    title = "SQLite"
    durability = "WAL, synchronous=FULL: a commit is on the disk when it returns"
    variables: ClassVar[Mapping[str, str]] = {
        "QUEUE_CONNECTION": "database",
        "DATABASE_URL": "{url}",
    }
    counts = ""

    def start(self) -> None:
        """There is no server."""

    def stop(self) -> None:
        """There is no server."""

    def version(self) -> str:
        return sqlite3.sqlite_version

    def take(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'store.sqlite3'}"

    def give_back(self, url: str) -> None:
        """The folder is removed."""

    def calm(self) -> None:
        """Checkpoints are made by who writes."""

    def cpu(self) -> float:
        return 0.0

    def count_statements(self, url: str) -> None:
        """Nobody counts them."""

    def statements(self, url: str) -> int | None:
        return None
