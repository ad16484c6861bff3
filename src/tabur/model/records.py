"""The values that travel between dispatch, stores and workers."""

from __future__ import annotations

from typing import Any

import msgspec

from tabur.model.bonds import Bonds
from tabur.model.compositions import Source
from tabur.model.retry import Backoff
from tabur.model.states import Isolation, State


class Owner(msgspec.Struct, frozen=True):
    """Whom a job belongs to; who else asks for it is told that there is no such job."""

    tenant: str | None = None
    user: str | None = None


class DispatchOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one dispatch sets otherwise than its job declares. Moments in microseconds."""

    tries: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    retry_until: int | None = None
    expires: int | None = None
    fingerprint: str | None = None
    """Of the arguments, where an idempotency key was given."""
    code: str | None = None
    """The version of the application that dispatched it."""
    version: int = 1
    """Of its arguments, as its job declared it."""
    trace: str | None = None
    """The traceparent of what dispatched it."""
    bonds: Bonds | None = None
    sources: tuple[Source, ...] = ()
    """What it waits for, where it may ask for the results of that."""
    callback_of: bytes | None = None
    """The batch that it hears of; one that does not count it."""


class NewJob(msgspec.Struct, frozen=True):
    """A job as it is dispatched."""

    id: bytes
    name: str
    queue: str
    isolation: Isolation
    payload: bytes
    created_at: int
    priority: int = 0
    due_at: int | None = None
    blockers: int = 0
    """How many Unblock follow-ups it waits for before it may become pending."""
    options: bytes = b""
    tenant: str | None = None
    user: str | None = None
    locale: str | None = None
    attempts: int = 0
    """Not zero only for what comes out of another store, as the next two."""
    exceptions: int = 0
    crashes: int = 0

    @property
    def bonds(self) -> Bonds | None:
        return bonds_in(self.options)


class ClaimedJob(msgspec.Struct, frozen=True):
    """A job as a worker gets it. Counters tell of the attempts before this one."""

    id: bytes
    name: str
    queue: str
    isolation: Isolation
    payload: bytes
    created_at: int
    attempts: int
    exceptions: int
    crashes: int
    options: bytes = b""
    tenant: str | None = None
    user: str | None = None
    locale: str | None = None
    token: bytes = b""

    @property
    def owner(self) -> Owner:
        return Owner(self.tenant, self.user)

    @property
    def bonds(self) -> Bonds | None:
        return bonds_in(self.options)


class ErrorInfo(msgspec.Struct, frozen=True):
    """An error as it is kept: at most 16 KiB in all."""

    type: str
    message: str
    traceback: str = ""


class Progress(msgspec.Struct, frozen=True):
    """How far a job is. `total` is None where it cannot be known: then it only counts."""

    done: int = 0
    total: int | None = None
    unit: str | None = None
    message: str | None = None
    warnings: int = 0

    @property
    def percent(self) -> int | None:
        """0–100, or None without a total."""
        if not self.total:
            return None
        return max(0, min(100, self.done * 100 // self.total))


class Attachment(msgspec.Struct, frozen=True):
    """A file that a job left behind; `path` is relative to the attachments folder."""

    n: int
    name: str
    size: int
    media_type: str
    path: str


class Attempt(msgspec.Struct, frozen=True):
    """One ended attempt, as history keeps it."""

    attempt: int
    ending: str
    started_at: int | None
    ended_at: int
    worker: str | None
    error: ErrorInfo | None


class JobRecord(msgspec.Struct, frozen=True):
    """A job as it stands in the store: what inspection answers."""

    id: bytes
    name: str
    queue: str
    state: State
    priority: int
    created_at: int
    attempts: int
    crashes: int
    options: bytes = b""
    tenant: str | None = None
    user: str | None = None
    locale: str | None = None
    due_at: int | None = None
    claimed_at: int | None = None
    worker: str | None = None
    cancelling: bool = False
    started_at: int | None = None
    ended_at: int | None = None
    error: ErrorInfo | None = None
    result: bytes | None = None
    progress: Progress = Progress()
    payload: bytes = b""

    @property
    def owner(self) -> Owner:
        return Owner(self.tenant, self.user)

    @property
    def bonds(self) -> Bonds | None:
        return bonds_in(self.options)


class QueueSize(msgspec.Struct, frozen=True):
    """What stands in one queue. `oldest_pending` is a moment in microseconds."""

    queue: str
    pending: int
    scheduled: int
    blocked: int
    processing: int
    oldest_pending: int | None

    @property
    def size(self) -> int:
        return self.pending + self.scheduled + self.blocked + self.processing


class Backlog(msgspec.Struct, frozen=True):
    """What is pending on one queue. `oldest` is a moment in microseconds: when the first in its
    line was dispatched."""

    pending: int
    oldest: int | None


class Pace(msgspec.Struct, frozen=True):
    """How fast a worker process is, as its supervisor has seen it lately. `rate`: jobs a second
    that come to it; `service`: mean seconds that one runs, None before any is known; `running`:
    jobs that ran just then."""

    rate: float
    service: float | None = None
    running: int = 0


class WorkerRecord(msgspec.Struct, frozen=True):
    """A worker process as it made itself known. `beats` is a counter, not a time."""

    id: str
    host: str
    pid: int
    started_at: int
    beats: int = 0
    queues: tuple[str, ...] = ()
    supervisor: str = ""
    version: str = ""
    """Of the app's code, as whoever deployed it named it."""
    pace: Pace | None = None


class Pause(msgspec.Struct, frozen=True):
    """A queue from which nothing is claimed; `ALL_QUEUES`: none is claimed from. Moments in
    microseconds."""

    queue: str
    since: int
    until: int | None = None
    """None: until somebody resumes it."""
    reason: str | None = None

    def lasts(self, now: int) -> bool:
        return self.until is None or self.until > now


ALL_QUEUES = "*"


class Hold(msgspec.Struct, frozen=True):
    """The store was restored from a backup, or is about to be: no worker claims anything until
    somebody has looked. `since` in microseconds."""

    since: int
    reason: str


class Signals(msgspec.Struct, frozen=True):
    """What all workers of a store are to obey. Moments in microseconds, by the store's clock."""

    now: int
    restarts: int
    """How many have been asked for."""
    moment: int
    """The latest that any worker has left here; it never goes back, unless the store did."""
    pauses: tuple[Pause, ...] = ()
    """Those whose end has not come."""
    hold: Hold | None = None


class Crash(msgspec.Struct, frozen=True):
    """How a worker's process died under its jobs."""

    error: ErrorInfo
    blamed: frozenset[bytes] | None = None
    """The jobs that may have been the cause; None: each that it held. The others are released as
    if they had not been claimed."""

    def blames(self, job_id: bytes) -> bool:
        return self.blamed is None or job_id in self.blamed


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


_options = msgspec.json.Decoder(DispatchOptions)
NO_OPTIONS = DispatchOptions()


def decode_options(raw: bytes) -> DispatchOptions:
    return _options.decode(raw) if raw else NO_OPTIONS


_BOUND = b'"bonds":'


def bonds_in(options: bytes) -> Bonds | None:
    """The ties of a job by its options; most have none, and are not decoded for that. None too for
    options that somebody has spoiled: the job is refused for those, and not before."""
    try:
        return decode_options(options).bonds if _BOUND in options else None
    except (TypeError, msgspec.DecodeError):
        return None
