"""What ties the jobs in memory together: batches, jobs that wait for others, unique keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from tabur.drivers.memory.entry import Entry
from tabur.errors import ConfigError
from tabur.model.batches import (
    DEPENDENCY,
    UNFINISHED,
    BatchRecord,
    Ends,
    Follows,
    NewBatch,
    ended,
    opened,
    tried_again,
)
from tabur.model.bonds import Bonds, Conflict, Unique
from tabur.model.records import NewJob
from tabur.model.states import State

REPLACED = "Replaced by a later one."
_WAITING = frozenset({State.PENDING, State.SCHEDULED, State.BLOCKED})


@dataclass(slots=True)
class Held:
    """Who holds a unique key. `since`: when the first that found it free was dispatched."""

    job: bytes
    since: int
    ends_at: int | None
    """With a window: it is free from then on, and not before."""


class Moves(Protocol):
    """What the store does with a job, when its ties ask for it."""

    jobs: dict[bytes, Entry]

    @property
    def clock(self) -> Callable[[], int]: ...

    def unblock(self, entry: Entry) -> None: ...

    def block(self, entry: Entry, blockers: int) -> None: ...

    def put_off(self, entry: Entry, due_at: int | None) -> None: ...

    def cancel(self, entry: Entry, reason: str) -> None: ...


class MemoryBonds:
    """Part of a store; every method expects the caller to hold its lock."""

    def __init__(self, store: Moves) -> None:
        self._store = store
        self.batches: dict[bytes, BatchRecord] = {}
        self._keys: dict[bytes, Held] = {}
        self._sources: dict[bytes, set[bytes]] = {}
        """Of a job, the jobs and batches that it waits for or has waited for."""
        self._replaced: list[Entry] = []
        """By those that a dispatch has brought; cancelled once all of it is kept and counted."""
        self._ended: deque[Entry] = deque()
        self._is_following = False

    # dispatch

    def admissible(self, jobs: Iterable[NewJob], batches: Iterable[NewBatch]) -> list[NewJob]:
        """`jobs` without those that a repeated dispatch did not keep, of a batch that has finished
        meanwhile. Raises ConfigError for a job of a batch that takes no more."""
        given = {each.id for each in batches}
        admitted: list[NewJob] = []
        for job in jobs:
            wanted = None if job.bonds is None else job.bonds.batch
            if wanted is None or self._is_open(wanted) or job.id in self._store.jobs:
                admitted.append(job)
            elif wanted not in given:
                raise ConfigError("The batch has finished or is not known: it takes no more jobs.")
            elif wanted not in self.batches:
                admitted.append(job)
        return admitted

    def _is_open(self, batch_id: bytes) -> bool:
        batch = self.batches.get(batch_id)
        return batch is not None and batch.finished_at is None

    def open(self, batches: Iterable[NewBatch]) -> list[bytes]:
        """Keep new batches, to be counted and then closed. Answers which ones are new."""
        new = [each for each in batches if each.id not in self.batches]
        for each in new:
            self.batches[each.id] = replace(opened(each, 0), finished_at=None)
            self._wait(each.next, each.id)
        return [each.id for each in new]

    def close(self, opened_ids: Iterable[bytes] = ()) -> None:
        """The dispatch is kept: batches that have got no jobs have finished, and what was replaced
        ends."""
        for batch_id in opened_ids:
            if not self.batches[batch_id].total:
                self._count(batch_id, Ends())
        replaced, self._replaced = self._replaced, []
        for entry in replaced:
            self._store.cancel(entry, REPLACED)

    def admit(self, job: NewJob) -> tuple[bytes | None, int | None]:
        """Bind a job that is about to be kept. Answers who holds its unique key, where it is not to
        be kept for that, and when it is due."""
        bonds, due_at = job.bonds, job.due_at
        if bonds is None:
            return None, due_at
        if bonds.unique is not None:
            holder, due_at = self._take(bonds.unique, job)
            if holder is not None:
                return holder, due_at
        batch = self._batch(bonds)
        if batch is not None:
            self.batches[batch.id] = replace(
                batch, total=batch.total + 1, pending=batch.pending + 1
            )
        self._wait(bonds.next, job.id)
        return None, due_at

    # unique keys

    def holder(self, key: bytes) -> Held | None:
        return self._keys.get(key)

    def hold(self, key: bytes, held: Held | None) -> None:
        """Set who holds a key; None: nobody."""
        if held is None:
            self._keys.pop(key, None)
        else:
            self._keys[key] = held

    def begin(self, entry: Entry) -> None:
        """It holds no key any longer that it held until it began."""
        unique = entry.job.bonds.unique if entry.job.bonds else None
        if unique is not None and unique.until_start:
            self._free(entry.job)

    def may_come_back(self, job: NewJob) -> bool:
        """Whether its unique key is its own or free; then it is its own."""
        unique = job.bonds.unique if job.bonds else None
        if unique is None or unique.window is not None:
            return True
        held = self._keys.get(unique.key)
        if held is None or self._is_over(held):
            self._keys[unique.key] = Held(job.id, self._store.clock(), None)
            return True
        return held.job == job.id

    def _take(self, unique: Unique, job: NewJob) -> tuple[bytes | None, int | None]:
        now = self._store.clock()
        held = self._keys.get(unique.key)
        ends_at = None if unique.window is None else now + unique.window
        if held is None or self._is_over(held):
            self._keys[unique.key] = Held(job.id, now, ends_at)
            return None, job.due_at
        if unique.conflict is Conflict.SKIP:
            return held.job, job.due_at
        due_at = job.due_at
        if unique.longest is not None and due_at is not None:
            due_at = min(due_at, held.since + unique.longest)
        entry = self._store.jobs.get(held.job)
        waiting = entry if entry is not None and entry.state in _WAITING else None
        if unique.conflict is Conflict.EXTEND:
            if held.ends_at is not None and ends_at is not None:
                held.ends_at = ends_at
            if waiting is not None:
                self._store.put_off(waiting, due_at)
            return held.job, due_at
        held.job, held.ends_at = job.id, ends_at
        if waiting is not None:
            self._replaced.append(waiting)
        return None, due_at

    def _is_over(self, held: Held) -> bool:
        return held.ends_at is not None and held.ends_at <= self._store.clock()

    def _free(self, job: NewJob) -> None:
        unique = job.bonds.unique if job.bonds else None
        if unique is None or unique.window is not None:
            return
        held = self._keys.get(unique.key)
        if held is not None and held.job == job.id:
            del self._keys[unique.key]

    # ends

    def ended(self, entry: Entry) -> None:
        """A job has ended for good. What follows may end others; those take their turn here, for a
        chain may be longer than Python's stack."""
        if entry.job.bonds is None:
            return
        self._ended.append(entry)
        if self._is_following:
            return
        self._is_following = True
        try:
            while self._ended:
                self._follow(self._ended.popleft())
        finally:
            self._is_following = False

    def _follow(self, entry: Entry) -> None:
        bonds = entry.job.bonds
        assert bonds is not None
        self._free(entry.job)
        if entry.state is State.COMPLETED:
            self._do(Follows(unblock=bonds.next), DEPENDENCY)
        else:
            self._do(Follows(cancel=bonds.next), DEPENDENCY)
        batch = self._batch(bonds)
        if batch is not None:
            self._count(
                batch.id,
                Ends(
                    completed=int(entry.state is State.COMPLETED),
                    failed=int(entry.state is State.FAILED),
                    cancelled=int(entry.state is State.CANCELLED),
                ),
            )

    def _count(self, batch_id: bytes, ends: Ends) -> None:
        self.batches[batch_id], follows = ended(
            self.batches[batch_id], ends, now=self._store.clock()
        )
        self._do(follows, UNFINISHED)

    def _do(self, follows: Follows, reason: str) -> None:
        for entry in self._blocked(follows.unblock):
            self._store.unblock(entry)
        self.cancel_waiting(follows.cancel, reason)

    def cancel_waiting(self, job_ids: Iterable[bytes], reason: str) -> None:
        for entry in self._blocked(job_ids):
            self._store.cancel(entry, reason)

    def _blocked(self, job_ids: Iterable[bytes]) -> Iterator[Entry]:
        for job_id in job_ids:
            entry = self._store.jobs.get(job_id)
            if entry is not None and entry.blockers > 0:
                yield entry

    # back

    def bring_back(self, entry: Entry) -> int:
        """A job that has failed or was cancelled is to run again: with it comes back what was
        cancelled for that. Answers by how many it is blocked itself."""
        again = deque([(entry, False)])
        while again:
            each, was_waiting = again.popleft()
            if was_waiting:
                if each.state is not State.CANCELLED or not self.may_come_back(each.job):
                    continue  # it has come back with another one that it waits for, or may not
                self._store.block(each, self._blockers(each.job.id))
            bonds = each.job.bonds
            if bonds is None:
                continue
            targets = bonds.next
            batch = self._batch(bonds)
            if batch is not None:
                failed = not was_waiting and each.state is State.FAILED
                self.batches[batch.id] = tried_again(
                    batch, failed=int(failed), cancelled=int(not failed)
                )
                targets += batch.next
            for target in targets:
                other = self._store.jobs.get(target)
                if other is not None and other.state is State.CANCELLED and not other.attempts:
                    again.append((other, True))
        return self._blockers(entry.job.id)

    def _blockers(self, job_id: bytes) -> int:
        return sum(not self._is_done(each) for each in self._sources.get(job_id, ()))

    def _is_done(self, source: bytes) -> bool:
        batch = self.batches.get(source)
        if batch is not None:
            return batch.is_complete
        entry = self._store.jobs.get(source)
        return entry is None or entry.state is State.COMPLETED

    def _batch(self, bonds: Bonds) -> BatchRecord | None:
        """Its batch, unless that has been pruned."""
        return None if bonds.batch is None else self.batches.get(bonds.batch)

    def _wait(self, targets: Iterable[bytes], source: bytes) -> None:
        for target in targets:
            self._sources.setdefault(target, set()).add(source)

    def forget(self, job_id: bytes) -> None:
        self._sources.pop(job_id, None)
