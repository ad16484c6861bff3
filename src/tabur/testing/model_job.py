"""One job of the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from tabur.model.outcome import Ending
from tabur.model.records import NewJob, Progress
from tabur.model.states import Isolation, State


@dataclass
class ModelJob:
    new: NewJob
    state: State
    isolation: Isolation
    since: int = 0
    """The step in which it became pending."""
    due_at: int | None = None
    blockers: int = 0
    attempts: int = 0
    exceptions: int = 0
    crashes: int = 0
    token: bytes | None = None
    worker: str | None = None
    cancelling: bool = False
    progress: Progress = field(default_factory=Progress)
    endings: list[Ending] = field(default_factory=list)
    """Of every ended attempt."""
    settled: set[bytes] = field(default_factory=set)
    """Tokens under which an outcome was settled."""
