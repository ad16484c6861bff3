"""A bare sqlite3 loop on Tabur's own tables at the same durability."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.adapter import BaseAdapter, url
from bench.bare.rows import PAYLOAD, new_ids
from bench.layouts import Adopted, open_store


class Adapter(BaseAdapter):
    """The same rows, the same commits, no library."""

    def prepare(self) -> None:
        self._db = open_store(Path(url().removeprefix("sqlite:///")))
        self._layout = Adopted()
        self._layout.make(self._db)

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        for _ in numbers:
            self._layout.dispatch(self._db, new_ids(1), PAYLOAD)

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        self._layout.dispatch(self._db, new_ids(len(numbers)), PAYLOAD)

    def unfinished(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM job_ready").fetchone()[0])

    def drain(self, batch: int) -> int:
        drained = 0
        while True:
            token = os.urandom(16)
            claimed = self._layout.claim(self._db, token, batch)
            if not claimed:
                return drained
            self._layout.settle(self._db, claimed, token)
            drained += len(claimed)

    def close(self) -> None:
        self._db.close()
