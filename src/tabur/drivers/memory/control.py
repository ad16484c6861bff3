"""Signals from people to all workers."""

from __future__ import annotations

from msgspec.structs import replace

from tabur.drivers.memory.store import MemoryStore
from tabur.model.records import Hold, Pause, Signals


class MemoryControl:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def signals(self) -> Signals:
        store = self._store
        with store.lock:
            now = store.clock()
            pauses = tuple(each for each in store.pauses.values() if each.lasts(now))
            return Signals(now, store.restarts, store.moment, pauses, store.hold)

    def restart(self) -> int:
        with self._store.lock:
            self._store.restarts += 1
            return self._store.restarts

    def pause(self, pause: Pause) -> None:
        with self._store.lock:
            self._store.pauses[pause.queue] = replace(pause, since=self._store.clock())

    def resume(self, queue: str) -> bool:
        with self._store.lock:
            pause = self._store.pauses.pop(queue, None)
            return pause is not None and pause.lasts(self._store.clock())

    def hold(self, reason: str) -> None:
        with self._store.lock:
            self._store.hold = self._store.hold or Hold(self._store.clock(), reason)

    def release_hold(self) -> bool:
        with self._store.lock:
            if self._store.hold is None:
                return False
            self._store.hold = None
            self.advance()
            return True

    def advance(self) -> int:
        with self._store.lock:
            self._store.moment = max(self._store.moment, self._store.clock())
            return self._store.moment
