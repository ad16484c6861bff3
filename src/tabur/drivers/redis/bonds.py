"""Bonds and batches as the bytes that Redis keeps; lua/keys.lua says what is where."""

from __future__ import annotations

import struct

import msgspec

from tabur.errors import ConfigError
from tabur.model.batches import BatchRecord, NewBatch
from tabur.model.bonds import Bonds, Conflict, Unique


def packed_bonds(bonds: Bonds) -> bytes:
    unique = b"-" if bonds.unique is None else _packed_unique(bonds.unique)
    return b"".join((bonds.batch or _NO_BATCH, unique, *bonds.next))


def _packed_unique(unique: Unique) -> bytes:
    if unique.window is not None:
        holds = b"w"
    else:
        holds = b"s" if unique.until_start else b"e"
    conflict = _CONFLICT[unique.conflict]
    return _UNIQUE.pack(holds, unique.key, conflict, unique.window or 0, _moment(unique.longest))


def packed_batch(batch: NewBatch) -> bytes:
    """One that is open and has no jobs yet. Raises ConfigError for what cannot be stored."""
    try:
        rest = _encode((batch.name, batch.options or None, batch.tenant, batch.user))
        counters = _BATCH.pack(
            *(batch.created_at, 0, 0, 0, 0, 0, 0, batch.allow_failures, True),
            *(len(batch.next), len(batch.catch), len(batch.finally_)),
        )
    except (struct.error, UnicodeError):
        raise ConfigError("Something in the batch cannot be kept by the store.") from None
    return b"".join((counters, *batch.next, *batch.catch, *batch.finally_, rest))


def batch_record(batch_id: bytes, packed: bytes) -> BatchRecord:
    (
        *(created_at, total, pending, failed, cancelled, cancelled_at, finished_at),
        *(allow_failures, _, nexts, catches, finals),
    ) = _BATCH.unpack_from(packed)
    end = _BATCH.size
    waiting: list[tuple[bytes, ...]] = []
    for count in (nexts, catches, finals):
        first, end = end, end + 16 * count
        waiting.append(tuple(packed[at : at + 16] for at in range(first, end, 16)))
    name, options, tenant, user = _rest.decode(packed[end:])
    return BatchRecord(
        id=batch_id,
        name=name,
        created_at=created_at,
        total=total,
        pending=pending,
        failed=failed,
        cancelled=cancelled,
        allow_failures=allow_failures,
        cancelled_at=_known(cancelled_at),
        finished_at=_known(finished_at),
        next=waiting[0],
        catch=waiting[1],
        finally_=waiting[2],
        options=options or b"",
        tenant=tenant,
        user=user,
    )


def is_cancelled(packed: bytes) -> bool:
    return packed[24:32] != _NEVER


def _moment(moment: int | None) -> int:
    """One more than it is; 0: none."""
    return 0 if moment is None else moment + 1


def _known(packed: int) -> int | None:
    return packed - 1 if packed else None


_NO_BATCH, _NEVER = bytes(16), bytes(8)
_UNIQUE = struct.Struct(">c16scQQ")
_BATCH = struct.Struct(">QIIIIQQ??III")
_CONFLICT = {Conflict.SKIP: b"s", Conflict.REPLACE: b"r", Conflict.EXTEND: b"e"}
_encode = msgspec.msgpack.Encoder().encode
_rest = msgspec.msgpack.Decoder(tuple[str, bytes | None, str | None, str | None])
