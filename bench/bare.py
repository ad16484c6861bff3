"""A bare sqlite3 loop on Tabur's own tables at the same durability: what the store alone allows."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator

from bench.layouts import Adopted, open_store
from bench.plan import Place

PAYLOAD = b'{"n":12345}'  # what a no-op job of the bench carries


class BareStore:
    """The same rows, the same commits, no library."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._layout = Adopted()
        self._layout.make(db)

    def insert(self, numbers: Iterable[int]) -> None:
        """One transaction."""
        ids = [time.time_ns().to_bytes(8, "big") + os.urandom(8) for _ in numbers]
        self._layout.dispatch(self._db, ids, PAYLOAD)

    def drain(self, *, batch: int) -> int:
        """Claims and settles until nothing is left; answers how many there were."""
        drained = 0
        while True:
            token = os.urandom(16)
            claimed = self._layout.claim(self._db, token, batch)
            if not claimed:
                return drained
            self._layout.settle(self._db, claimed, token)
            drained += len(claimed)


@contextlib.contextmanager
def store(place: Place) -> Iterator[BareStore]:
    with contextlib.closing(open_store(place.folder / "bare.sqlite3")) as db:
        yield BareStore(db)
