"""The memory driver: its roles over one shared store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabur.drivers.contract import (
    Batches,
    Claiming,
    Control,
    Dispatching,
    Inspection,
    Notes,
    Retention,
    Schedules,
    Transfer,
    Workers,
)
from tabur.drivers.memory.batches import MemoryBatches
from tabur.drivers.memory.claiming import MemoryClaiming
from tabur.drivers.memory.control import MemoryControl
from tabur.drivers.memory.dispatching import MemoryDispatching
from tabur.drivers.memory.inspection import MemoryInspection
from tabur.drivers.memory.listener import MemoryListener
from tabur.drivers.memory.retention import MemoryRetention
from tabur.drivers.memory.schedules import MemoryNotes, MemorySchedules
from tabur.drivers.memory.store import MemoryStore
from tabur.drivers.memory.transfer import MemoryTransfer
from tabur.drivers.memory.workers import MemoryWorkers
from tabur.model.clock import now_us


class MemoryDriver:
    """Jobs live as long as this object. `clock` answers microseconds; tests give their own.

    The connections `memory` and `sync` use it, under their own `name`.
    """

    def __init__(self, *, name: str = "memory", clock: Callable[[], int] = now_us) -> None:
        self.name = name
        self._store = MemoryStore(clock)
        dispatching = MemoryDispatching(self._store)
        self.dispatching: Dispatching = dispatching
        self.claiming: Claiming = MemoryClaiming(self._store)
        self.batches: Batches = MemoryBatches(self._store)
        self.transfer: Transfer = MemoryTransfer(self._store)
        self.workers: Workers = MemoryWorkers(self._store)
        self.control: Control = MemoryControl(self._store)
        self.inspection: Inspection = MemoryInspection(self._store)
        self.retention: Retention = MemoryRetention(self._store)
        self.schedules: Schedules = MemorySchedules(self._store, dispatching)
        self.notes: Notes = MemoryNotes(self._store)

    def now(self) -> int:
        return self._store.clock()

    def listen(self) -> MemoryListener:
        return MemoryListener(self._store)

    def migrate(self) -> Sequence[str]:
        return []

    def script(self) -> Sequence[str]:
        return []

    def check(self) -> Mapping[str, Any]:
        return {"store": "memory of this process", "jobs": len(self._store.jobs)}

    def close(self) -> None:
        pass
