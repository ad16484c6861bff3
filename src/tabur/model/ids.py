"""Identities: ids of jobs (UUIDv7, 16 bytes, made by the caller) and tokens of claims."""

from __future__ import annotations

import os
from random import getrandbits
from time import time_ns
from uuid import UUID, uuid5

from tabur.errors import JobNotFound

_IDEMPOTENT = UUID("7c1a6d0e-6f0b-5a52-9a55-7a6275720000")


def new_id() -> bytes:
    """A UUIDv7 (RFC 9562 §5.7, sub-millisecond fraction in rand_a): later ids sort later,
    which keeps inserts at the right edge of every index."""
    ms, rest = divmod(time_ns(), 1_000_000)
    head = (ms << 16) | 0x7000 | (rest * 4096 // 1_000_000)
    return ((head << 64) | (0b10 << 62) | getrandbits(62)).to_bytes(16, "big")


def new_token() -> bytes:
    """A claim's token: 16 unpredictable bytes, so that no other claim can bear it."""
    return os.urandom(16)


def new_worker_id(host: str) -> str:
    """A name that no other worker process bears, at most 40 characters, and that tells operators
    where it ran."""
    return f"{host[:27]}.{os.urandom(6).hex()}"


def idempotent_id(owner: tuple[str | None, str | None], key: str) -> bytes:
    """The id that one owner's idempotency key always leads to."""
    tenant, user = owner
    # As a tuple's repr: no name can be written so that two owners meet in one id.
    return uuid5(_IDEMPOTENT, repr((tenant, user, key))).bytes


def idempotent_key(job_id: bytes, key: str) -> str:
    """The same for every attempt of a job, another for each job and each key."""
    return str(uuid5(UUID(bytes=job_id), key))


def made_from_key(job_id: bytes) -> bool:
    """Whether an id may have been made before: all others are fresh (UUID version 7)."""
    return job_id[6] >> 4 == 5


def id_text(job_id: bytes) -> str:
    return str(UUID(bytes=job_id))


def id_bytes(job_id: str | bytes | UUID) -> bytes:
    """The 16 bytes of an id in any form. Raises JobNotFound for what is no id at all."""
    if isinstance(job_id, UUID):
        return job_id.bytes
    if isinstance(job_id, bytes):
        return job_id
    try:
        return UUID(job_id).bytes
    except ValueError:
        raise JobNotFound(job_id[:80]) from None
