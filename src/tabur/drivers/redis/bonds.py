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
    until = b"s" if unique.until_start else b"e"
    holds = until if unique.window is None else b"w"
    conflict = _CONFLICT[unique.conflict]
    return _UNIQUE.pack(holds, unique.key, conflict, unique.window or 0, _moment(unique.longest))


def packed_place(n: int) -> bytes:
    """Which of the bonds that a turn brings."""
    return _PLACE.pack(n)


def packed_batch(batch: NewBatch) -> bytes:
    """One that is open and has no jobs yet. Raises ConfigError for what cannot be stored."""
    try:
        rest = _encode((batch.name, batch.options or None, batch.tenant, batch.user))
        tally = _TALLY.pack(batch.created_at, 0, 0, 0, 0, 0, 0, batch.allow_failures, True)
    except (struct.error, UnicodeError):
        raise ConfigError("Something in the batch cannot be kept by the store.") from None
    waiting = _WAITING.pack(len(batch.next), len(batch.catch), len(batch.finally_))
    return b"".join((tally, waiting, *batch.next, *batch.catch, *batch.finally_, rest))


def batch_record(batch_id: bytes, packed: bytes) -> BatchRecord:
    made, total, pending, failed, cancelled, cancelled_at, finished_at, allows, _ = (
        _TALLY.unpack_from(packed)
    )
    end = _TALLY.size + _WAITING.size
    waiting: list[tuple[bytes, ...]] = []
    for count in _WAITING.unpack_from(packed, _TALLY.size):
        first, end = end, end + 16 * count
        waiting.append(tuple(packed[at : at + 16] for at in range(first, end, 16)))
    name, options, tenant, user = _rest.decode(packed[end:])
    return BatchRecord(
        id=batch_id,
        name=name,
        created_at=made,
        total=total,
        pending=pending,
        failed=failed,
        cancelled=cancelled,
        allow_failures=allows,
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
_PLACE = struct.Struct(">I")
_TALLY, _WAITING = struct.Struct(">QIIIIQQ??"), struct.Struct(">III")
_CONFLICT = {Conflict.SKIP: b"s", Conflict.REPLACE: b"r", Conflict.EXTEND: b"e"}
_encode = msgspec.msgpack.Encoder().encode
_rest = msgspec.msgpack.Decoder(tuple[str, bytes | None, str | None, str | None])
