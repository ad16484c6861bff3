"""Waiting for work within one process."""

from __future__ import annotations

from tabur.drivers.memory.store import MemoryStore


class MemoryListener:
    """Hears each change once; those of before it began to listen are not told.

    The condition's lock is re-entrant: a signal handler may interrupt the thread that holds it.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._heard = store.changes
        self._interrupted = False

    def wait(self, timeout: float) -> bool:
        with self._store.changed:
            heard = self._store.changed.wait_for(self._news, timeout)
            self._heard = self._store.changes
            self._interrupted = False
        return heard

    def interrupt(self) -> None:
        with self._store.changed:
            self._interrupted = True
            self._store.changed.notify_all()

    def close(self) -> None:
        pass

    def _news(self) -> bool:
        return self._interrupted or self._store.changes != self._heard
