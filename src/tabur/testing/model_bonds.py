"""The ties of the model's jobs: what a batch has counted is read off the states of its jobs, and
what a job waits for off the jobs and batches that name it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tabur.model.batches import NewBatch
from tabur.model.bonds import Conflict, Unique
from tabur.model.records import NewJob
from tabur.model.states import FINISHED, State
from tabur.testing.model_job import ModelJob

_WAITING = (State.PENDING, State.SCHEDULED, State.BLOCKED)


@dataclass
class ModelBatch:
    new: NewBatch
    jobs: list[ModelJob] = field(default_factory=list)
    """Those it has counted, the forgotten ones included."""
    cancelled_at: int | None = None
    finished_at: int | None = None
    has_failed: bool = False
    """Some of its jobs have; none any more once all of them are tried again."""

    def count(self, *states: State) -> int:
        return sum(job.state in states for job in self.jobs)

    @property
    def pending(self) -> int:
        return len(self.jobs) - self.count(*FINISHED)

    @property
    def is_complete(self) -> bool:
        completed = self.count(State.COMPLETED) == len(self.jobs)
        return self.finished_at is not None and completed


@dataclass
class Holder:
    """Of a unique key."""

    job: bytes
    since: int
    ends_at: int | None


class Moves(Protocol):
    """What the model does with a job, when its ties ask for it."""

    jobs: dict[bytes, ModelJob]

    @property
    def clock(self) -> Callable[[], int]: ...

    def unblock(self, job: ModelJob) -> None: ...

    def put_off(self, job: ModelJob, due_at: int | None) -> None: ...

    def cancel(self, job_id: bytes) -> object: ...

    def begin_anew(self, job: ModelJob) -> None: ...


class ModelBonds:
    def __init__(self, model: Moves) -> None:
        self._model = model
        self.batches: dict[bytes, ModelBatch] = {}
        self.holders: dict[bytes, Holder] = {}
        self.outlived: set[bytes] = set()
        """Jobs whose key has gone over to another one while they ran, or as they began."""

    # dispatch

    def takes(self, jobs: Sequence[NewJob], batches: Sequence[NewBatch]) -> bool:
        """Whether all batches of these jobs take more, or come with them."""
        wanted = {
            job.bonds.batch
            for job in jobs
            if job.bonds is not None and job.id not in self._model.jobs
        }
        given = {None, *(each.id for each in batches)}
        return all(each in given or self.is_open(each) for each in wanted)

    def is_open(self, batch_id: bytes | None) -> bool:
        batch = None if batch_id is None else self.batches.get(batch_id)
        return batch is not None and batch.finished_at is None

    def open(self, batches: Sequence[NewBatch]) -> list[NewBatch]:
        """Answers which ones are new."""
        new = [each for each in batches if each.id not in self.batches]
        self.batches |= {each.id: ModelBatch(each) for each in new}
        return new

    def bind(self, job: ModelJob) -> None:
        batch = self._batch(job)
        if batch is not None:
            batch.jobs.append(job)

    def close(self, batches: Sequence[NewBatch]) -> None:
        """Those that have got no jobs have finished."""
        for each in batches:
            if not self.batches[each.id].jobs:
                self._finish(self.batches[each.id])

    # unique keys

    def take(self, new: NewJob) -> tuple[bytes | None, int | None, bytes | None]:
        """Who holds the key of a job, where it is not kept for that; when it is due; whom it
        replaces."""
        unique = new.bonds.unique if new.bonds else None
        if unique is None:
            return None, new.due_at, None
        held, now = self.holder(unique), self._model.clock()
        ends_at = None if unique.window is None else now + unique.window
        if held is None:
            self.holders[unique.key] = Holder(new.id, now, ends_at)
            return None, new.due_at, None
        if unique.conflict is Conflict.SKIP:
            return held.job, new.due_at, None
        due_at = new.due_at
        if due_at is not None and unique.longest is not None:
            due_at = min(due_at, held.since + unique.longest)
        other = self._model.jobs.get(held.job)
        waits = other is not None and other.state in _WAITING
        if unique.conflict is Conflict.EXTEND:
            if held.ends_at is not None and ends_at is not None:
                held.ends_at = ends_at
            if other is not None and waits:
                self._model.put_off(other, due_at)
            return held.job, due_at, None
        replaced = held.job
        held.job, held.ends_at = new.id, ends_at
        self.outlived.add(replaced)
        return None, due_at, replaced if waits else None

    def holder(self, unique: Unique) -> Holder | None:
        held = self.holders.get(unique.key)
        if held is None or (held.ends_at is not None and held.ends_at <= self._model.clock()):
            return None
        return held

    def begin(self, job: ModelJob) -> None:
        unique = job.new.bonds.unique if job.new.bonds else None
        if unique is not None and unique.until_start and unique.window is None:
            self._free(job)
            self.outlived.add(job.new.id)

    def may_come_back(self, job: ModelJob) -> bool:
        """Whether its key is free or its own; it is its own from then on."""
        unique = job.new.bonds.unique if job.new.bonds else None
        if unique is None or unique.window is not None:
            return True
        held = self.holder(unique)
        if held is None:
            self.holders[unique.key] = Holder(job.new.id, self._model.clock(), None)
        elif held.job != job.new.id:
            return False
        self.outlived.discard(job.new.id)
        return True

    def _free(self, job: ModelJob) -> None:
        unique = job.new.bonds.unique if job.new.bonds else None
        if unique is not None and unique.window is None:
            held = self.holders.get(unique.key)
            if held is not None and held.job == job.new.id:
                del self.holders[unique.key]

    # ends

    def ended(self, job: ModelJob) -> None:
        if job.new.bonds is None:
            return
        self._free(job)
        self._follow(job.new.bonds.next, completed=job.state is State.COMPLETED)
        batch = self._batch(job)
        if batch is not None:
            self._count(batch, job)

    def _count(self, batch: ModelBatch, job: ModelJob) -> None:
        if batch.count(State.FAILED) and not batch.has_failed:
            batch.has_failed = True
            self._follow(batch.new.catch, completed=True)
        if job.state is State.FAILED and not batch.new.allow_failures:
            batch.cancelled_at = batch.cancelled_at or self._model.clock()
        if not batch.pending and batch.finished_at is None:
            self._finish(batch)

    def _finish(self, batch: ModelBatch) -> None:
        batch.finished_at = self._model.clock()
        self._follow(batch.new.finally_, completed=True)
        self._follow(batch.new.next, completed=batch.is_complete)
        if not batch.has_failed:
            self._follow(batch.new.catch, completed=False)

    def _follow(self, targets: Iterable[bytes], *, completed: bool) -> None:
        for target in targets:
            job = self._model.jobs.get(target)
            if job is None or job.state is not State.BLOCKED:
                continue
            if completed:
                self._model.unblock(job)
            else:
                self._model.cancel(target)

    # back

    def bring_back(self, job: ModelJob) -> None:
        """With a job that is tried again: its batch, and what was cancelled since it had ended."""
        targets = job.new.bonds.next if job.new.bonds else ()
        batch = self._batch(job)
        if batch is not None:
            batch.cancelled_at = batch.finished_at = None
            batch.has_failed = batch.count(State.FAILED) > 0
            targets += batch.new.next
        for target in targets:
            other = self._model.jobs.get(target)
            if other is None or other.state is not State.CANCELLED or other.attempts:
                continue
            if self.may_come_back(other):
                self._model.begin_anew(other)

    def sources(self, job_id: bytes) -> tuple[list[ModelJob], list[ModelBatch]]:
        """The jobs and batches that a job waits for, as far as they are known."""
        jobs = [job for job in self._model.jobs.values() if job_id in _next(job)]
        return jobs, [each for each in self.batches.values() if job_id in each.new.next]

    def unfinished_sources(self, job_id: bytes) -> int:
        """How many of them have not completed."""
        jobs, batches = self.sources(job_id)
        return sum(job.state is not State.COMPLETED for job in jobs) + sum(
            not each.is_complete for each in batches
        )

    def has_sources(self, job_id: bytes) -> bool:
        """Whether a job waits, or has waited, for another one or for a batch."""
        called = (
            (*each.new.next, *each.new.catch, *each.new.finally_) for each in self.batches.values()
        )
        return any(job_id in _next(job) for job in self._model.jobs.values()) or any(
            job_id in each for each in called
        )

    def is_bound(self, job_id: bytes) -> bool:
        job = self._model.jobs.get(job_id)
        return job is not None and job.new.bonds is not None

    # batches

    def cancel(self, batch_id: bytes) -> bool:
        batch = self.batches.get(batch_id)
        if batch is None or batch.finished_at is not None or batch.cancelled_at is not None:
            return False
        batch.cancelled_at = self._model.clock()
        return True

    def prune(self, before: int, *, unfinished: bool) -> int:
        gone = [
            each
            for each in self.batches.values()
            if (each.new.created_at if unfinished else each.finished_at or before) < before
            and (each.finished_at is None) == unfinished
        ]
        for each in gone:
            del self.batches[each.new.id]
        for each in gone:
            if unfinished:
                new = each.new
                self._follow((*new.next, *new.catch, *new.finally_), completed=False)
        return len(gone)

    def _batch(self, job: ModelJob) -> ModelBatch | None:
        bonds = job.new.bonds
        return None if bonds is None or bonds.batch is None else self.batches.get(bonds.batch)


def _next(job: ModelJob) -> tuple[bytes, ...]:
    return job.new.bonds.next if job.new.bonds else ()
