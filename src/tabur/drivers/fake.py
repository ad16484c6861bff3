"""The driver behind `jobs.fake()`: dispatched jobs stand in memory, and run when a test says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from tabur.drivers.contract import Driver
from tabur.drivers.memory.driver import MemoryDriver
from tabur.drivers.memory.entry import Entry
from tabur.drivers.memory.store import MemoryStore
from tabur.drivers.stores import Stores
from tabur.errors import ConfigError
from tabur.model.batches import NewBatch
from tabur.model.clock import now_us
from tabur.model.records import NewJob
from tabur.model.states import State

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_WAITING = frozenset({State.PENDING, State.SCHEDULED, State.BLOCKED})


class FakeDriver(MemoryDriver):
    """Takes callers' transactions too: what they dispatch is there at once, and gone again when
    their connection rolls back. Its clock goes with the host's, as far ahead as it has travelled.
    """

    def __init__(self) -> None:
        self._ahead = 0
        super().__init__(name="fake", clock=lambda: now_us() + self._ahead)

    def travel(self, us: int) -> None:
        """Set the clock on, and make pending what is due then."""
        with self._store.lock:
            self._ahead += us
            self._store.promote()
            self._store.wake()

    def next_retry(self) -> int | None:
        """When the first of the jobs that have run before is to run again."""
        with self._store.lock:
            due = [
                entry.due_at
                for entry in self._store.jobs.values()
                if entry.state is State.SCHEDULED and entry.attempts and entry.due_at is not None
            ]
        return min(due, default=None)

    def dispatch_in(
        self,
        connection: Connection,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch] = (),
    ) -> Mapping[bytes, bytes]:
        from sqlalchemy import event

        new = {each.id for each in batches}
        if any(job.bonds and job.bonds.batch and job.bonds.batch not in new for job in jobs):
            raise ConfigError("In a transaction of yours a batch that is there takes no more jobs.")
        with self._store.lock:
            before = _Before(self._store, jobs, batches)
            holders = self.dispatching.dispatch(jobs, batches)
        ended: list[bool] = []

        def rolled_back(_: Connection) -> None:
            if not ended:
                before.restore()
            ended.append(True)

        event.listen(connection, "commit", lambda _: ended.append(True), once=True)
        event.listen(connection, "rollback", rolled_back, once=True)
        return holders

    def install(self, engine: Engine) -> None:
        pass


class _Before:
    """What a dispatch is about to change."""

    def __init__(
        self, store: MemoryStore, jobs: Sequence[NewJob], batches: Sequence[NewBatch]
    ) -> None:
        self._store = store
        self._jobs = [job.id for job in jobs if job.id not in store.jobs]
        self._batches = [each.id for each in batches if each.id not in store.bonds.batches]
        uniques = [job.bonds.unique for job in jobs if job.bonds and job.bonds.unique]
        self._keys = {each.key: copy(store.bonds.holder(each.key)) for each in uniques}
        holders = [store.jobs.get(held.job) for held in self._keys.values() if held is not None]
        self._holders = [_copied(each) for each in holders if each and each.state in _WAITING]

    def restore(self) -> None:
        store = self._store
        with store.lock:
            for job_id in self._jobs:
                entry = store.jobs.pop(job_id, None)
                if entry is not None:
                    store.end_claim(entry)
                store.bonds.forget(job_id)
            for batch_id in self._batches:
                store.bonds.batches.pop(batch_id, None)
            for key, held in self._keys.items():
                store.bonds.hold(key, held)
            for entry in self._holders:
                store.restore(entry)


def _copied(entry: Entry) -> Entry:
    made = copy(entry)
    made.history = list(entry.history)
    return made


class FakeStores:
    """One fake for every connection."""

    beside: Sequence[Driver] = ()

    def __init__(self, driver: FakeDriver) -> None:
        self._driver = driver

    def get(self, connection: str) -> Driver:
        return self._driver

    def close(self) -> None:
        pass


class PartlyFakeStores:
    """The app's own, and beside them a fake for some of its jobs."""

    def __init__(self, own: Stores, driver: FakeDriver) -> None:
        self._own = own
        self.beside: Sequence[Driver] = (*own.beside, driver)

    def get(self, connection: str) -> Driver:
        return self._own.get(connection)

    def close(self) -> None:
        self._own.close()
