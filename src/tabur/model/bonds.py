"""What ties jobs together: the batch that counts them, those that wait for them, a key that only
one of them may hold. Kept with a job from its dispatch on, so that whoever ends it knows."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Conflict(StrEnum):
    """What becomes of a job whose unique key another one holds."""

    SKIP = "skip"
    """It is not kept."""
    REPLACE = "replace"
    """It takes the place of one that has not started, which is cancelled; the key of one that has
    started goes over to it."""
    EXTEND = "extend"
    """It is not kept, and one that has not started is put off to its time."""


class Unique(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that one job holds at a time. Spans in microseconds.

    It is held from the dispatch until the job has ended, or until it is begun (`until_start`), or,
    with `window`, for so long after the dispatch, whatever becomes of the job.
    """

    key: bytes
    """16 bytes."""
    until_start: bool = False
    window: int | None = None
    conflict: Conflict = Conflict.SKIP
    longest: int | None = None
    """REPLACE and EXTEND put a time off no further than so long after the first dispatch under the
    key: the one that found it free."""


class Bonds(msgspec.Struct, frozen=True, omit_defaults=True):
    """The ties of one job."""

    batch: bytes | None = None
    next: tuple[bytes, ...] = ()
    """Jobs that wait for it: each has one blocker less when it completes, and is cancelled when it
    ends otherwise."""
    unique: Unique | None = None
