"""Batches, chains and workflows, as operators look at them and act on them."""

from __future__ import annotations

import string
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import BatchNotFound
from tabur.jobs.composing.handle import BatchHandle, BatchStatus, newest_batches
from tabur.jobs.composing.running import WorkflowHandle
from tabur.jobs.handle import JobHandle
from tabur.model.clock import to_us
from tabur.model.compositions import Kind
from tabur.model.ids import id_bytes, id_text
from tabur.operations.reading import SHORTEST_PREFIX, AmbiguousId

#: Failed jobs shown with a batch.
MOST_FAILED = 20
#: Batches removed at once.
_CHUNK = 1_000


class FailedMember(msgspec.Struct, frozen=True):
    """A failed job of a batch."""

    id: str
    job: str
    exception: str | None
    message: str | None


class BatchShown(msgspec.Struct, frozen=True):
    """A batch with the newest of its failed jobs. `steps`: a workflow, drawn as text."""

    status: BatchStatus
    failed: tuple[FailedMember, ...]
    steps: str | None = None


class Batches:
    """Questions and actions on the stores of an app. All raise StoreUnavailable, or SchemaMissing
    before the tables are made; `given` may be the beginning of an id (BatchNotFound,
    AmbiguousId)."""

    def __init__(self, *drivers: Driver) -> None:
        self._drivers = drivers

    def newest(self, *, limit: int) -> list[BatchStatus]:
        return newest_batches(self._drivers, limit=limit)

    def show(self, given: str) -> BatchShown:
        driver, batch_id = self._locate(given)
        handle = WorkflowHandle([driver], batch_id)
        status = handle.status()
        return BatchShown(
            status,
            tuple(_member(each) for each in islice(handle.failed_jobs(), MOST_FAILED)),
            handle.text() if status.kind is Kind.WORKFLOW else None,
        )

    def retry(self, given: str) -> tuple[str, int]:
        """Run again what has failed in it, and what did not begin because of that. Answers the
        whole id, and how many jobs."""
        driver, batch_id = self._locate(given)
        return id_text(batch_id), BatchHandle([driver], batch_id).retry_failed()

    def prune(self, *, older_than: timedelta, unfinished: bool = False) -> int:
        """Remove batches that finished longer ago than `older_than`, or, with `unfinished`, that
        were made longer ago and have not finished. Their jobs stay. Answers how many."""
        pruned = 0
        for driver in self._drivers:
            before = driver.now() - to_us(older_than)
            while gone := driver.batches.prune(before=before, unfinished=unfinished, limit=_CHUNK):
                pruned += gone
        return pruned

    def _locate(self, given: str) -> tuple[Driver, bytes]:
        digits = given.strip().lower().replace("-", "")
        if not set(digits) <= set(string.hexdigits) or not SHORTEST_PREFIX <= len(digits) <= 32:
            raise BatchNotFound(given[:80])
        found = [(driver, each) for driver in self._drivers for each in _beginning(driver, digits)]
        if not found:
            raise BatchNotFound(given[:80])
        if len({batch_id for _, batch_id in found}) > 1:
            raise AmbiguousId(given, [id_text(batch_id) for _, batch_id in found])
        return found[0]


def _beginning(driver: Driver, digits: str) -> Sequence[bytes]:
    """Two ids at most: pages go downwards, from above all that begin so."""
    if len(digits) == 32:
        batch_id = id_bytes(digits)
        return [batch_id] if driver.batches.find(batch_id) is not None else []
    above = (int(digits, 16) + 1) << 4 * (32 - len(digits))
    after = above.to_bytes(16, "big") if above < 1 << 128 else None
    page = driver.batches.list(limit=2, after=after)
    return [each.id for each in page if each.id.hex().startswith(digits)]


def _member(handle: JobHandle[Any]) -> FailedMember:
    status = handle.status()
    error = status.error
    return FailedMember(
        status.id, status.name, error.type if error else None, error.message if error else None
    )
