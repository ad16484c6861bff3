"""What can be watched: frozen events, told to functions that `@jobs.listen(JobFailed)` declares.

Who listens changes nothing: what he raises is logged, and the job is what it is. What is to change
how a job ends is middleware; what must not be missed is `failed()`, or a job.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from tabur.errors import ConfigError
from tabur.model.text import shown

__all__ = [
    "Event",
    "JobEvent",
    "JobFailed",
    "JobProcessed",
    "JobProcessing",
    "JobQueued",
    "JobReleased",
    "JobTimedOut",
    "WorkerEvent",
    "WorkerStarting",
    "WorkerStopping",
]

_log = logging.getLogger("tabur.events")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    connection: str


class JobEvent(Event, frozen=True, kw_only=True):
    """All that tell of a job. `attempt` is 1 for the first."""

    job_id: str
    name: str
    queue: str
    attempt: int
    tenant: str | None
    user: str | None


class JobQueued(JobEvent, frozen=True, kw_only=True):
    """It was dispatched here, and its transaction has committed. (Of what a schedule dispatches,
    its ticks tell.)"""


class JobProcessing(JobEvent, frozen=True, kw_only=True):
    """A worker begins it."""


class JobProcessed(JobEvent, frozen=True, kw_only=True):
    """It has completed, after so many seconds."""

    seconds: float


class JobReleased(JobEvent, frozen=True, kw_only=True):
    """It runs again, `delay` seconds later at the earliest: it was released, with or without an
    attempt spent, or raised an error and has tries left."""

    delay: float
    charged: bool
    error_type: str | None
    message: str | None


class JobFailed(JobEvent, frozen=True, kw_only=True):
    """It has failed for good."""

    error_type: str
    message: str


class JobTimedOut(JobEvent, frozen=True, kw_only=True):
    """Its time was over; JobReleased or JobFailed follows."""

    seconds: float


class WorkerEvent(Event, frozen=True, kw_only=True):
    """All that tell of a worker process."""

    worker: str
    queues: tuple[str, ...]


class WorkerStarting(WorkerEvent, frozen=True, kw_only=True):
    """It is about to claim its first job."""


class WorkerStopping(WorkerEvent, frozen=True, kw_only=True):
    """It has run its last job."""

    reason: str


class Listeners:
    """Who listens to what, of one app. False where nobody does."""

    def __init__(self) -> None:
        self._all: list[tuple[tuple[type[Event], ...], Callable[[Any], object]]] = []

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, kinds: tuple[type[Event], ...], listener: Callable[[Any], object]) -> None:
        """Raises ConfigError."""
        for kind in kinds or (None,):
            if not _is_event(kind):
                raise ConfigError(
                    f"listen({shown(kind)}): events are needed, such as tabur.events.JobFailed "
                    "(tabur.JobFailed is an error)."
                )
        if inspect.iscoroutinefunction(listener):
            raise ConfigError(
                f"{shown(listener)} listens, and is async def: write def. It is called in a thread."
            )
        self._all.append((kinds, listener))

    def want(self, kind: type[Event]) -> bool:
        return any(issubclass(kind, kinds) for kinds, _ in self._all)

    def tell(self, events: Iterable[Event]) -> None:
        """One after another, here and now. What a listener raises is logged."""
        for event in events:
            for kinds, listener in self._all:
                if isinstance(event, kinds):
                    _call(listener, event)


def _call(listener: Callable[[Any], object], event: Event) -> None:
    try:
        listener(event)
    except Exception:
        _log.exception("A listener raised; it was told %r", event)


def _is_event(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Event)
