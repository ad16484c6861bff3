"""Who works, what people tell all of them, and how they wait for work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tabur.model.records import Pace, Pause, Signals, WorkerRecord


class Workers(Protocol):
    """Who works, and signals to all of them."""

    def register(self, worker: WorkerRecord) -> None: ...

    def beat(self, workers: Sequence[str]) -> int:
        """Count one up on each; one that was removed meanwhile is not brought back. Answers how
        many of them are known."""

    def tell(self, paces: Mapping[str, Pace]) -> None:
        """Keep how fast workers are, until the next time; of one that was removed, nothing."""

    def list(self) -> Sequence[WorkerRecord]: ...

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        """With `beats`, only if its counter still stands there. Answers whether it was removed."""


class Control(Protocol):
    """Signals from people to all workers of a store. Every supervisor reads them every few seconds
    and obeys; nothing is told to anybody."""

    def signals(self) -> Signals:
        """All of them, in one round trip. Pauses whose end has come are left out."""

    def restart(self) -> int:
        """Ask every worker that runs now to stop after its jobs. Answers how many restarts have
        been asked for in all."""

    def pause(self, pause: Pause) -> None:
        """Let nothing be claimed from a queue; a pause of the same queue is replaced. `since` is
        set by the store's clock."""

    def resume(self, queue: str) -> bool:
        """End the pause of a queue. False where there was none."""

    def hold(self, reason: str) -> None:
        """Let no worker claim anything, until `release_hold`. A hold that is there stays."""

    def release_hold(self) -> bool:
        """End the hold, and advance the moment. False where there was none."""

    def advance(self) -> int:
        """Leave the present moment in the store (never an earlier one than there is), so that a
        store which was restored from a backup can be told by an older one. Answers it."""


class Listener(Protocol):
    """Waits for work; belongs to one thread. Correctness never rests on it: who waits asks again
    after `timeout` whatever was heard."""

    def wait(self, timeout: float) -> bool:
        """True when something may have changed; False after `timeout` seconds."""

    def interrupt(self) -> None:
        """End the wait that runs now or the next one; from any thread or a signal handler. After
        `close` it does nothing: a job's thread may be late."""

    def close(self) -> None: ...
