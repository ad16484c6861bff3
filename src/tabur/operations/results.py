"""What operations answer: small values that print as they are and encode as JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tabur.model.records import Attachment, ErrorInfo, Progress
from tabur.model.states import State


class FailedJob(msgspec.Struct, frozen=True):
    """A failed job as a list shows it."""

    id: str
    connection: str
    queue: str
    job: str
    failed_at: datetime | None
    attempts: int
    exception: str | None
    message: str | None
    tenant: str | None = None


class AttemptShown(msgspec.Struct, frozen=True):
    """One ended attempt. `seconds` is None where it never started."""

    attempt: int
    ending: str
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    worker: str | None
    error: ErrorInfo | None


class JobShown(msgspec.Struct, frozen=True):
    """One job with all that is known of it. `arguments` is its payload, JSON as text, with
    `…` for what is shown to nobody."""

    id: str
    connection: str
    queue: str
    job: str
    state: State
    attempts: int
    crashes: int
    created_at: datetime | None
    tenant: str | None
    user: str | None
    locale: str | None
    progress: Progress
    arguments: str
    history: tuple[AttemptShown, ...]
    attachments: tuple[Attachment, ...]


class Resting(msgspec.Struct, frozen=True):
    """Why workers take nothing from a queue (`pause`), or from any of its store (`pause` or `hold`;
    then `queue` is None). `todo` ends it."""

    connection: str
    queue: str | None
    kind: str
    since: datetime | None
    until: datetime | None
    reason: str | None
    todo: str

    @property
    def name(self) -> str:
        """Of what rests."""
        return self.queue or ("everything" if self.kind == "hold" else "all queues")

    @property
    def told(self) -> str:
        """In a sentence."""
        why = f" ({self.reason})" if self.reason else ""
        if self.kind == "hold":
            return f"The jobs of {self.connection} are held: no worker takes any{why}."
        if self.queue is None:
            return f"All queues of {self.connection} are paused{why}."
        return f"Queue {self.queue} is paused{why}."


class QueueLevel(msgspec.Struct, frozen=True):
    """How full a queue is. `delayed` counts what is scheduled or blocked, `reserved` what runs;
    `status` is ALERT from `threshold` jobs on. `resting`: nothing is taken from it."""

    connection: str
    queue: str
    size: int
    pending: int
    delayed: int
    reserved: int
    oldest_pending: datetime | None
    threshold: int
    status: str
    resting: Resting | None = None


class WorkerSeen(msgspec.Struct, frozen=True):
    """A worker process that made itself known. `alive` is None where it cannot be told from here:
    its host is another one."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    started_at: datetime | None
    beats: int
    alive: bool | None


class Problem(msgspec.Struct, frozen=True):
    """Something that is wrong (`error`), may be (`warning`), or is good to know (`note`), and what
    to do about it."""

    level: str
    what: str
    todo: str


class Health(msgspec.Struct, frozen=True):
    """The state of a store and of those who work for it. `resting`: what nothing is taken from."""

    store: dict[str, str]
    workers: tuple[WorkerSeen, ...]
    queues: tuple[QueueLevel, ...]
    failed: int
    problems: tuple[Problem, ...]
    resting: tuple[Resting, ...] = ()

    @property
    def is_well(self) -> bool:
        return not any(problem.level == "error" for problem in self.problems)
