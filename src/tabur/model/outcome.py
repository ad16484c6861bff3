"""How a run ended, and the change in the store that follows from it."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from tabur.model.bonds import Bonds
from tabur.model.records import ErrorInfo, NewJob, Progress
from tabur.model.states import State


class Ended(StrEnum):
    """How one run of a job ended."""

    COMPLETED = "completed"
    RAISED = "raised"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    """Its process died under it; too often is poison."""
    RELEASED = "released"
    """It asked to run again later."""
    GAVE_UP = "gave_up"
    """It called ctx.fail()."""
    REJECTED = "rejected"
    """It never started and never can: unknown name, undecodable arguments."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    HANDED_BACK = "handed_back"
    """It never started, or was cut off by a shutdown: as if it had not been claimed."""


class Outcome(msgspec.Struct, frozen=True):
    """How one run ended. Spans and moments in microseconds."""

    ended: Ended
    started_at: int | None
    ended_at: int
    result: bytes | None = None
    error: ErrorInfo | None = None
    delay: int = 0
    """It runs again no sooner."""
    permanent: bool = False
    """The error is one that trying again cannot mend."""
    settled: bool = False
    """It was settled by the job itself, in its own transaction."""


class Ending(StrEnum):
    """What became of the job after one attempt, as `job_outcomes` keeps it."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    RELEASED = "released"
    CRASHED = "crashed"
    """Its process died under it; it runs again, and no attempt was spent. Its error is of a type
    whose last name is JobCrashed."""


class Unblock(msgspec.Struct, frozen=True, tag="unblock"):
    """One of the jobs that `job` waits for is done."""

    job: bytes


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """What `job` waits for will never come."""

    job: bytes
    reason: str


class Dispatch(msgspec.Struct, frozen=True, tag="dispatch"):
    job: NewJob


FollowUp = Unblock | Cancel | Dispatch


class Transition(msgspec.Struct, frozen=True):
    """One move of a claimed job, to be settled. `ending` None: nothing is to be remembered."""

    id: bytes
    token: bytes
    to: State
    ending: Ending | None
    attempts: int
    exceptions: int
    crashes: int
    worker: str
    started_at: int | None
    ended_at: int
    due_at: int | None = None
    result: bytes | None = None
    error: ErrorInfo | None = None
    progress: Progress | None = None
    """The last progress, where some was reported since it was last written."""
    follow_ups: tuple[FollowUp, ...] = ()
    bonds: Bonds | None = None
    """The job's: where it ends, its batch, those that wait for it and its unique key change with
    it."""


class Settled(StrEnum):
    """A store's answer to one transition."""

    DONE = "done"
    STALE = "stale"
    """The claim has moved on; nothing was changed."""
    UNKNOWN = "unknown"
    """No such job any more."""


CALLED_BACK = "Called back while it ran."
"""The reason that a store gives, where it ends what would have run again."""


def called_back(move: Transition) -> Transition:
    """`move`, of a job that would run again, had its owner not asked for its end."""
    reason = ErrorInfo("JobCancelled", CALLED_BACK)
    return replace(
        move, to=State.CANCELLED, ending=Ending.CANCELLED, error=reason, due_at=None, follow_ups=()
    )


def unstorable(move: Transition, error: Exception, *, attempts: int, now: int) -> Transition:
    """`move` as a failure that says what a store could not keep, with nothing of it that might be
    the cause."""
    reason = ErrorInfo("UnstorableOutcome", f"What it left could not be stored: {error}")
    return replace(
        move,
        to=State.FAILED,
        ending=Ending.FAILED,
        error=reason,
        attempts=attempts,
        exceptions=0,
        crashes=0,
        started_at=None,
        ended_at=now,
        result=None,
        progress=None,
        due_at=None,
        follow_ups=(),
    )
