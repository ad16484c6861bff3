"""Opens Tabur and huey on a fresh store inside the bench's own process, as a dispatcher would."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
import sys
from collections.abc import Iterator
from types import ModuleType

from bench.plan import Place


@contextlib.contextmanager
def tabur(place: Place) -> Iterator[ModuleType]:
    """The module `bench.noop_app` on this place, migrated."""
    app = _fresh("bench.noop_app")
    app.jobs.migrate()
    try:
        _refuse_other_durability(place.store)
        yield app
    finally:
        app.jobs.close()


@contextlib.contextmanager
def huey(place: Place) -> Iterator[ModuleType]:
    """The module `bench.huey_app` on this place."""
    app = _fresh("bench.huey_app")
    connection = app.huey.storage.conn
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "huey: not at FULL"
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",), "huey: not in WAL"
    try:
        yield app
    finally:
        app.huey.storage.close()


def _fresh(name: str) -> ModuleType:
    """Imported anew: its settings are read from the environment of this place."""
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def _refuse_other_durability(store: object) -> None:
    with contextlib.closing(sqlite3.connect(str(store))) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",), "tabur: not in WAL"
