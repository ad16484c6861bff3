"""Where one measurement happens: an empty database, a folder, and the environment that says so."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.stores.store import Store


@dataclass(frozen=True)
class Place:
    store: Store
    url: str
    folder: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def log(self) -> Path:
        """What the workers and the adapter print."""
        return self.folder / "log"

    @property
    def environment(self) -> Mapping[str, str]:
        ours = {name: text.format(url=self.url) for name, text in self.store.variables.items()}
        return ours | {
            "TABUR_ATTACHMENTS": str(self.folder / "attachments"),
            "BENCH_URL": self.url,
            "BENCH_LEDGER": str(self.ledger),
        }

    def last_words(self, characters: int = 1_500) -> str:
        """The end of the log, for who wonders why nothing happened."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""


@contextlib.contextmanager
def fresh_place(store: Store) -> Iterator[Place]:
    """An empty place; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tabur-bench-", ignore_cleanup_errors=True) as folder:
        url = store.take(Path(folder))
        try:
            yield Place(store, url, Path(folder))
        finally:
            store.give_back(url)
