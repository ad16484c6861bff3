"""Batches as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, update

from tabur.drivers.database.rows import Source
from tabur.drivers.database.schema import batches
from tabur.drivers.database.statements import Statement
from tabur.model.batches import BatchRecord

#: The columns of a row, in their order.
BATCH = tuple(column.name for column in batches.columns)


def batch_row(batch: BatchRecord) -> tuple[Any, ...]:
    return (
        batch.id,
        batch.name,
        batch.total,
        batch.pending,
        batch.failed,
        batch.cancelled,
        int(batch.allow_failures),
        b"".join(batch.next),
        b"".join(batch.catch),
        b"".join(batch.finally_),
        batch.options,
        batch.tenant,
        batch.user,
        batch.cancelled_at,
        batch.created_at,
        batch.finished_at,
    )


def batch_record(row: Iterable[Any]) -> BatchRecord:
    (
        batch_id,
        name,
        total,
        pending,
        failed,
        cancelled,
        allow_failures,
        next_ids,
        catch_ids,
        finally_ids,
        options,
        tenant,
        user,
        cancelled_at,
        created_at,
        finished_at,
    ) = row
    return BatchRecord(
        id=batch_id,
        name=name,
        created_at=created_at,
        total=total,
        pending=pending,
        failed=failed,
        cancelled=cancelled,
        allow_failures=bool(allow_failures),
        cancelled_at=cancelled_at,
        finished_at=finished_at,
        next=_ids(next_ids),
        catch=_ids(catch_ids),
        finally_=_ids(finally_ids),
        options=options,
        tenant=tenant,
        user=user,
    )


def write_counts(source: Source) -> Statement:
    """Takes a `counts_row`."""
    names = ("pending_jobs", "failed_jobs", "cancelled_jobs", "cancelled_at", "finished_at")
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    statement = update(batches).where(batches.c.id == bindparam("batch")).values(values)
    return source.prepare(statement, *(f"new_{name}" for name in names), "batch")


def counts_row(batch: BatchRecord) -> tuple[Any, ...]:
    return (
        *(batch.pending, batch.failed, batch.cancelled),
        *(batch.cancelled_at, batch.finished_at, batch.id),
    )


def _ids(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined[at : at + 16] for at in range(0, len(joined), 16))
