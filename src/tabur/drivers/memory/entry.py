"""One job in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from tabur.model.records import Attachment, Attempt, NewJob, Progress
from tabur.model.states import Isolation, State

NO_PROGRESS = Progress()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who runs a job: `token` says which of the worker's claims, `at` since when."""

    token: bytes
    worker: str
    at: int


@dataclass(slots=True)
class Past:
    """One ended attempt. `token` is that of the settle that ended it, to know it by when it comes
    again; None where none did: it was called back, or its worker died."""

    attempt: Attempt
    token: bytes | None = None
    result: bytes | None = None


@dataclass(slots=True)
class Entry:
    """One job, from its dispatch until it is forgotten."""

    job: NewJob
    isolation: Isolation
    state: State
    seq: int = 0
    """Its place among the pending ones."""
    due_at: int | None = None
    blockers: int = 0
    """Below zero: taken out, to be moved into another store."""
    attempts: int = 0
    exceptions: int = 0
    crashes: int = 0
    claim: Claim | None = None
    """While it is processing."""
    cancelling: bool = False
    progress: Progress = NO_PROGRESS
    history: list[Past] = field(default_factory=list)
    attachments: dict[int, Attachment] = field(default_factory=dict)
    cursor: bytes | None = None
    """Of its last checkpoint."""


def has_token(entry: Entry, token: bytes) -> bool:
    return entry.claim is not None and entry.claim.token == token
