"""Events of a worker: told in a thread of their own, so that no listener holds up a job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Full, Queue
from typing import Any, TypeVar

from tabur.events import (
    Event,
    JobEvent,
    JobFailed,
    JobProcessed,
    JobProcessing,
    JobReleased,
    JobTimedOut,
    Listeners,
    WorkerStarting,
    WorkerStopping,
)
from tabur.jobs.context import JobContext
from tabur.model.clock import SECOND
from tabur.model.outcome import Ended, Ending, Transition
from tabur.worker.running.finish import Finished
from tabur.worker.running.pump import Observer
from tabur.worker.running.run import Run

_log = logging.getLogger("tabur.events")

E = TypeVar("E", bound=JobEvent)

#: Turns whose events may wait for a listener that is slow; what comes then is not told.
MOST = 1_000
#: Seconds that listeners have at the end of their worker.
PATIENCE = 5.0


class Teller:
    """Without listeners it does nothing, and nobody pays for it."""

    def __init__(
        self, listeners: Listeners, connection: str, worker: str, queues: Sequence[str]
    ) -> None:
        self._listeners = listeners
        self._connection = connection
        self._worker = worker
        self._queues = tuple(queues)
        self._waiting: Queue[Sequence[Event] | None] = Queue(MOST)
        self._untold = 0
        self._thread = threading.Thread(target=self._work, name="tabur-events", daemon=True)

    def beside(self, observer: Observer) -> Observer:
        """`observer`, and the events of jobs."""
        return _Both(observer, self, self._connection) if self._listeners else observer

    def begin(self) -> None:
        """The worker begins."""
        if self._listeners:
            self._thread.start()
            self.tell([WorkerStarting(**self._who())])

    def tell(self, events: Sequence[Event]) -> None:
        """Of what has happened in one turn."""
        try:
            self._waiting.put_nowait(events)
        except Full:
            self._untold += len(events)

    def close(self, reason: str) -> None:
        """The worker ends: wait, as long as patience lasts, until all is told."""
        if not self._listeners:
            return
        self.tell([WorkerStopping(reason=reason, **self._who())])
        with suppress(Full):
            self._waiting.put(None, timeout=PATIENCE)
            self._thread.join(PATIENCE)

    def _work(self) -> None:
        while (events := self._waiting.get()) is not None:
            self._listeners.tell(events)
            if self._untold:
                untold, self._untold = self._untold, 0
                _log.error("Listeners are too slow: %d events were not told", untold)

    def _who(self) -> dict[str, Any]:
        return {
            "connection": self._connection,
            "worker": self._worker,
            "queues": self._queues,
        }


class _Both:
    def __init__(self, observer: Observer, teller: Teller, connection: str) -> None:
        self._observer = observer
        self._teller = teller
        self._connection = connection

    def started(self, runs: Sequence[Run]) -> None:
        self._observer.started(runs)
        self._teller.tell([begun(run.ctx, self._connection) for run in runs])

    def settled(self, ends: Sequence[tuple[Finished, Transition]]) -> None:
        self._observer.settled(ends)
        self._teller.tell([event for end in ends for event in ended(*end, self._connection)])


def begun(ctx: JobContext, connection: str) -> JobProcessing:
    return _event(JobProcessing, ctx, connection)


def ended(finished: Finished, move: Transition, connection: str) -> list[Event]:
    """What is told of the end of a run; nothing of what was handed back before it began."""
    ctx, error = finished.ctx, move.error
    events: list[Event] = []
    seconds = (move.ended_at - (move.started_at or move.ended_at)) / SECOND
    if finished.outcome.ended is Ended.TIMED_OUT:
        events.append(_event(JobTimedOut, ctx, connection, seconds=seconds))
    match move.ending:
        case Ending.COMPLETED:
            events.append(_event(JobProcessed, ctx, connection, seconds=seconds))
        case Ending.FAILED:
            assert error is not None  # `decide` gives one
            told = {"error_type": error.type, "message": error.message}
            events.append(_event(JobFailed, ctx, connection, **told))
        case Ending.CANCELLED:
            pass
        case None if move.started_at is None:
            pass
        case _:
            events.append(
                _event(
                    JobReleased,
                    ctx,
                    connection,
                    delay=((move.due_at or move.ended_at) - move.ended_at) / SECOND,
                    charged=move.attempts > finished.job.attempts,
                    error_type=error and error.type,
                    message=error and error.message,
                )
            )
    return events


def _event(kind: type[E], ctx: JobContext, connection: str, **more: Any) -> E:
    return kind(
        connection=connection,
        job_id=ctx.job_id,
        name=ctx.name,
        queue=ctx.queue,
        attempt=ctx.attempt,
        tenant=ctx.tenant,
        user=ctx.user,
        **more,
    )
