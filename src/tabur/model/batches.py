"""Batches: jobs that are counted together, and the one rule for what follows when some have ended.

A chain and a workflow are batches too, of jobs that wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.model.records import NewJob

UNFINISHED = "The batch did not complete."
"""The reason of jobs that waited for all of it to complete."""
DEPENDENCY = "What it waited for did not complete."
"""The reason of jobs that waited for another one."""
CALLED_OFF = "Its batch was cancelled."
"""The reason of jobs that had not begun when their batch was cancelled."""


class NewBatch(msgspec.Struct, frozen=True):
    """A batch as it is dispatched, together with its jobs and with those that wait for it."""

    id: bytes
    name: str
    created_at: int
    allow_failures: bool = False
    """The first failure does not cancel what has not started."""
    next: tuple[bytes, ...] = ()
    """Blocked jobs, with one blocker less when all of its jobs have completed, and cancelled when
    the last one has ended and not all have completed."""
    catch: tuple[bytes, ...] = ()
    """Blocked jobs, with one blocker less at its first failure; cancelled when the batch has
    finished without any."""
    finally_: tuple[bytes, ...] = ()
    """Blocked jobs, with one blocker less when its last job has ended, however."""
    options: bytes = b""
    """Of whoever made it; opaque to stores."""
    tenant: str | None = None
    user: str | None = None


class BatchRecord(msgspec.Struct, frozen=True):
    """A batch as it stands in the store. Moments in microseconds."""

    id: bytes
    name: str
    created_at: int
    total: int
    pending: int
    """Its jobs that have not ended."""
    failed: int = 0
    cancelled: int = 0
    allow_failures: bool = False
    cancelled_at: int | None = None
    finished_at: int | None = None
    next: tuple[bytes, ...] = ()
    catch: tuple[bytes, ...] = ()
    finally_: tuple[bytes, ...] = ()
    options: bytes = b""
    tenant: str | None = None
    user: str | None = None

    @property
    def completed(self) -> int:
        return self.total - self.pending - self.failed - self.cancelled

    @property
    def is_complete(self) -> bool:
        """All of its jobs have completed."""
        return self.finished_at is not None and not self.failed and not self.cancelled

    @property
    def percent(self) -> int:
        """0-100: how many of its jobs have ended."""
        return 100 if not self.total else (self.total - self.pending) * 100 // self.total


class Ends(msgspec.Struct, frozen=True):
    """How many jobs of a batch have ended at once, by how."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class Follows(msgspec.Struct, frozen=True):
    """What is to be done with the jobs that wait for a batch, once its counters have changed:
    those to unblock, and those to cancel for a reason."""

    unblock: tuple[bytes, ...] = ()
    cancel: tuple[bytes, ...] = ()


def check_named(jobs: Iterable[NewJob], batches: Iterable[NewBatch]) -> None:
    """For a dispatch in a caller's transaction. Raises ConfigError for a job of another batch than
    those that are dispatched with it."""
    named = {each.id for each in batches}
    wanted = {bonds.batch for job in jobs if (bonds := job.bonds) is not None}
    if not wanted <= {None, *named}:
        raise ConfigError(
            "A job cannot be added to a batch in a transaction of your own: until that commits, it "
            "would keep all other jobs of the batch from ending. Dispatch it without session=, or "
            "with after_commit=True."
        )


def opened(new: NewBatch, total: int) -> BatchRecord:
    """A batch at its dispatch, with `total` jobs. Without any it has finished."""
    return BatchRecord(
        id=new.id,
        name=new.name,
        created_at=new.created_at,
        total=total,
        pending=total,
        allow_failures=new.allow_failures,
        finished_at=None if total else new.created_at,
        next=new.next,
        catch=new.catch,
        finally_=new.finally_,
        options=new.options,
        tenant=new.tenant,
        user=new.user,
    )


def ended(batch: BatchRecord, ends: Ends, now: int) -> tuple[BatchRecord, Follows]:
    """The batch after some of its jobs have ended, and what follows from it."""
    failed, cancelled = batch.failed + ends.failed, batch.cancelled + ends.cancelled
    pending = batch.pending - ends.completed - ends.failed - ends.cancelled
    cancelled_at = batch.cancelled_at
    if ends.failed and not batch.allow_failures and cancelled_at is None:
        cancelled_at = now
    after = replace(
        batch,
        pending=pending,
        failed=failed,
        cancelled=cancelled,
        cancelled_at=cancelled_at,
        finished_at=None if pending else now,
    )
    unblock = batch.catch if ends.failed and not batch.failed else ()
    cancel: tuple[bytes, ...] = ()
    if not pending:
        unblock += batch.finally_
        if after.is_complete:
            unblock += batch.next
        else:
            cancel += batch.next
        if not failed:
            cancel += batch.catch
    return after, Follows(unblock, cancel)


def tried_again(batch: BatchRecord, *, failed: int = 0, cancelled: int = 0) -> BatchRecord:
    """The batch after so many of its failed and cancelled jobs have been brought back. It has not
    finished any more, and is not cancelled."""
    return replace(
        batch,
        pending=batch.pending + failed + cancelled,
        failed=batch.failed - failed,
        cancelled=batch.cancelled - cancelled,
        cancelled_at=None,
        finished_at=None,
    )
