"""The driver behind `jobs.fake()`: dispatched jobs stand in memory, and nothing runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tabur.drivers.memory.driver import MemoryDriver
from tabur.model.batches import NewBatch
from tabur.model.records import NewJob

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


class FakeDriver(MemoryDriver):
    """Takes callers' transactions too: what they dispatch is there at once, and gone again when
    their connection rolls back."""

    def __init__(self) -> None:
        super().__init__(name="fake")

    def dispatch_in(
        self,
        connection: Connection,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch] = (),
    ) -> Mapping[bytes, bytes]:
        from sqlalchemy import event

        ids, opened = [job.id for job in jobs], [batch.id for batch in batches]
        holders = self.dispatching.dispatch(jobs, batches)
        event.listen(connection, "rollback", lambda _: self._undo(ids, opened), once=True)
        return holders

    def install(self, engine: Engine) -> None:
        pass

    def _undo(self, ids: Sequence[bytes], batches: Sequence[bytes]) -> None:
        for batch_id in batches:
            self._store.bonds.batches.pop(batch_id, None)
        for job_id in ids:
            self.dispatching.cancel(job_id)
            self.dispatching.forget_one(job_id)


class FakeStores:
    """One fake for every connection."""

    fake = True

    def __init__(self) -> None:
        self.driver = FakeDriver()

    def get(self, connection: str) -> FakeDriver:
        return self.driver

    def close(self) -> None:
        pass
