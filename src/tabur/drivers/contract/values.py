"""What verbs take and answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from tabur.model.outcome import Settled, Transition
from tabur.model.records import ClaimedJob, Owner, Progress
from tabur.model.states import Isolation, State


class CancelAnswer(StrEnum):
    CANCELLED = "cancelled"
    CANCELLING = "cancelling"
    """It is running and has been asked to stop."""
    FINISHED = "finished"
    UNKNOWN = "unknown"


class ProgressWrite(msgspec.Struct, frozen=True):
    id: bytes
    token: bytes
    progress: Progress


class Body(StrEnum):
    """Bytes of a job that no store looks into."""

    PAYLOAD = "payload"
    RESULT = "result"


class Rewrite(msgspec.Struct, frozen=True):
    """Other bytes in place of a job's payload or result; `before`: what stands there."""

    id: bytes
    body: Body
    before: bytes
    after: bytes


class Exchange(msgspec.Struct, frozen=True):
    """One turn of a worker: what has ended, how far the rest is, and what it could start now."""

    worker: str
    settle: Sequence[Transition] = ()
    progress: Sequence[ProgressWrite] = ()
    token: bytes = b""
    """Fresh for each turn that claims."""
    queues: Sequence[str] = ()
    """In strict order: nothing is claimed from a later one while an earlier one has work."""
    slots: Mapping[Isolation, int] = {}
    """How many may be claimed of each isolation; empty: claim nothing."""
    watch: bool = False
    """Ask which of this worker's jobs are to be cancelled."""


class Exchanged(msgspec.Struct, frozen=True):
    now: int
    settled: Sequence[Settled] = ()
    """One answer per transition, in order."""
    claimed: Sequence[ClaimedJob] = ()
    cancelling: frozenset[bytes] = frozenset()
    next_due: int | None = None
    """When the next scheduled job becomes due, if any is known."""


class Filter(msgspec.Struct, frozen=True):
    """Which jobs. Empty fields do not restrict."""

    states: tuple[State, ...] = ()
    queue: str | None = None
    name: str | None = None
    owner: Owner | None = None
    """Both fields of it, None too."""
    tenant: str | None = None
    """Whoever of its users they belong to."""
    batch: bytes | None = None
    """Jobs of one batch."""
    ended_before: int | None = None
    """Finished jobs that ended before a moment."""
    ended_since: int | None = None
    """Finished jobs that ended at a moment or later. What that costs grows with how many did, not
    with how many ended before."""
