"""The jobs in memory and the moves between their states; the driver's roles stand on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TypeVar

from msgspec.structs import replace

from tabur.drivers.memory.bonds import MemoryBonds
from tabur.drivers.memory.entry import NO_PROGRESS, Claim, Entry, Past, has_token
from tabur.model.outcome import CALLED_BACK, Cancel, Dispatch, Ending, FollowUp, Unblock
from tabur.model.records import (
    Attempt,
    ErrorInfo,
    Hold,
    NewJob,
    Pause,
    WorkerRecord,
)
from tabur.model.states import FINISHED, Isolation, State, allowed

K = TypeVar("K", str, bytes)


class MemoryStore:
    """What all roles share. Every method expects the caller to hold `lock`.

    An entry that leaves `pending` or `scheduled` otherwise than from the top of its heap stays
    behind there, and is passed over when it comes up: its `seq` or `due_at` no longer fits.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.changes = 0
        self.jobs: dict[bytes, Entry] = {}
        self.workers: dict[str, WorkerRecord] = {}
        self.restarts = self.moment = 0
        self.pauses: dict[str, Pause] = {}
        self.hold: Hold | None = None
        self.bonds = MemoryBonds(self)
        self._seq = 0
        self._pending: dict[tuple[str, Isolation], list[tuple[int, int, bytes]]] = {}
        self._scheduled: list[tuple[int, bytes]] = []
        self._by_token: dict[bytes, set[bytes]] = {}
        self._by_worker: dict[str, set[bytes]] = {}

    # into the store

    def add(self, job: NewJob) -> bytes | None:
        """Keep a new job; one whose id is known is passed over. Answers who holds its unique key,
        where it is not kept for that."""
        if job.id in self.jobs:
            return None
        holder, due_at = self.bonds.admit(job)
        if holder is not None:
            return holder
        entry = Entry(
            job,
            job.isolation,
            State.BLOCKED,
            due_at=due_at,
            blockers=job.blockers,
            attempts=job.attempts,
            exceptions=job.exceptions,
            crashes=job.crashes,
        )
        self.jobs[job.id] = entry
        if not entry.blockers:
            self.queue_up(entry)
        return None

    def queue_up(self, entry: Entry) -> None:
        """Pending, or scheduled where `due_at` lies ahead."""
        if entry.due_at is not None and entry.due_at > self.clock():
            self._move(entry, State.SCHEDULED)
            heappush(self._scheduled, (entry.due_at, entry.job.id))
        else:
            self._move(entry, State.PENDING)
            entry.due_at = None
            self._seq += 1
            entry.seq = self._seq
            self._push(entry)

    def promote(self) -> None:
        """Make pending what has become due, earliest first."""
        now = self.clock()
        while (due_at := self.next_due()) is not None and due_at <= now:
            _, job_id = heappop(self._scheduled)
            self.queue_up(self.jobs[job_id])

    def next_due(self) -> int | None:
        while self._scheduled:
            due_at, job_id = self._scheduled[0]
            entry = self.jobs.get(job_id)
            if entry is not None and entry.state is State.SCHEDULED and entry.due_at == due_at:
                return due_at
            heappop(self._scheduled)
        return None

    # claims

    def pop(self, queue: str, isolation: Isolation) -> Entry | None:
        """The next pending job of a queue and isolation, taken off its heap."""
        heap = self._pending.get((queue, isolation), [])
        while heap:
            _, seq, job_id = heappop(heap)
            entry = self.jobs.get(job_id)
            if entry is not None and entry.state is State.PENDING and entry.seq == seq:
                return entry
        return None

    def claim(self, entry: Entry, token: bytes, worker: str) -> None:
        self._move(entry, State.PROCESSING)
        entry.claim = Claim(token, worker, self.clock())
        self._by_token.setdefault(token, set()).add(entry.job.id)
        self._by_worker.setdefault(worker, set()).add(entry.job.id)

    def held(self, job_id: bytes, token: bytes) -> Entry | None:
        """The job, if `token` is its current claim."""
        entry = self.jobs.get(job_id)
        return entry if entry is not None and has_token(entry, token) else None

    def held_under(self, token: bytes) -> list[Entry]:
        return [self.jobs[each] for each in self._by_token.get(token, ())]

    def held_by(self, worker: str) -> list[Entry]:
        return [self.jobs[each] for each in self._by_worker.get(worker, ())]

    def holders(self) -> list[str]:
        return list(self._by_worker)

    def end_claim(self, entry: Entry) -> None:
        if entry.claim is not None:
            _discard(self._by_token, entry.claim.token, entry.job.id)
            _discard(self._by_worker, entry.claim.worker, entry.job.id)
            entry.claim = None

    def release(self, entry: Entry) -> None:
        """Pending again at its old place, as if it had not been claimed; cancelled where its owner
        has been told that it will stop."""
        if entry.cancelling:
            self._cancel_now(entry, CALLED_BACK)
            return
        self.end_claim(entry)
        self._move(entry, State.PENDING)
        self._push(entry)

    # out of the store

    def block(self, entry: Entry, blockers: int) -> None:
        """Let one that has ended wait again for so many others."""
        self._begin_anew(entry)
        self._move(entry, State.BLOCKED)
        entry.blockers = blockers

    def retry(self, entry: Entry) -> None:
        """Let one that has ended run again, once nothing that it waits for is unfinished."""
        blockers = self.bonds.bring_back(entry)
        if blockers:
            self.block(entry, blockers)
        else:
            self._begin_anew(entry)
            self.queue_up(entry)

    def _begin_anew(self, entry: Entry) -> None:
        last = entry.history[-1]
        last.attempt = replace(last.attempt, ending=Ending.RETRIED)
        entry.attempts = entry.exceptions = entry.crashes = 0
        entry.isolation, entry.progress = entry.job.isolation, NO_PROGRESS

    def put_off(self, entry: Entry, due_at: int | None) -> None:
        """Let one that waits be due at another time."""
        lies_ahead = due_at is not None and due_at > self.clock()
        if entry.state is State.PENDING and not lies_ahead:
            return
        entry.due_at = due_at
        if entry.state is State.SCHEDULED and due_at is not None and lies_ahead:
            heappush(self._scheduled, (due_at, entry.job.id))
        elif entry.state is not State.BLOCKED:
            self.queue_up(entry)

    def restore(self, entry: Entry) -> None:
        """Let one stand again as it did, unless it has begun meanwhile."""
        now = self.jobs.get(entry.job.id)
        if now is None or now.claim is not None or now.attempts != entry.attempts:
            return
        self.jobs[entry.job.id] = entry
        if entry.state is State.PENDING:
            self._push(entry)
        elif entry.state is State.SCHEDULED and entry.due_at is not None:
            heappush(self._scheduled, (entry.due_at, entry.job.id))

    def take_out(self, entry: Entry) -> None:
        """Let it stand still, until it is gone or put back."""
        self._move(entry, State.BLOCKED)
        entry.blockers = -1

    def forget(self, job_id: bytes) -> None:
        """Remove one that has ended."""
        del self.jobs[job_id]
        self.bonds.forget(job_id)

    def finish(self, entry: Entry, to: State) -> None:
        """The end; its outcome is the last of `history`."""
        self.end_claim(entry)
        self._move(entry, to)
        entry.due_at, entry.blockers, entry.cancelling = None, 0, False
        self.bonds.ended(entry)

    def cancel(self, entry: Entry, reason: str) -> None:
        """Cancel what has not started; mark what runs; leave what has finished."""
        if entry.state is State.PROCESSING:
            entry.cancelling = True
        elif entry.state not in FINISHED:
            self._cancel_now(entry, reason)

    def unblock(self, entry: Entry) -> None:
        """One of those that a blocked job waits for is done."""
        entry.blockers -= 1
        if not entry.blockers:
            self.queue_up(entry)

    def follow_up(self, follow_up: FollowUp) -> None:
        match follow_up:
            case Unblock(job_id):
                entry = self.jobs.get(job_id)
                if entry is not None and entry.blockers > 0:
                    self.unblock(entry)
            case Cancel(job_id, reason):
                entry = self.jobs.get(job_id)
                if entry is not None:
                    self.cancel(entry, reason)
            case Dispatch(job):
                self.add(job)
                self.bonds.close()

    def wake(self) -> None:
        """Tell every listener that something may have changed."""
        self.changes += 1
        self.changed.notify_all()

    def _cancel_now(self, entry: Entry, reason: str) -> None:
        attempt = Attempt(
            attempt=entry.attempts,
            ending=Ending.CANCELLED,
            started_at=None,
            ended_at=self.clock(),
            worker=None,
            error=ErrorInfo("JobCancelled", reason),
        )
        entry.history.append(Past(attempt))
        self.finish(entry, State.CANCELLED)

    def _push(self, entry: Entry) -> None:
        heap = self._pending.setdefault((entry.job.queue, entry.isolation), [])
        heappush(heap, (-entry.job.priority, entry.seq, entry.job.id))

    def _move(self, entry: Entry, to: State) -> None:
        if not allowed(entry.state, to):
            raise AssertionError(f"{entry.state} → {to} is no move of a job")
        entry.state = to


def _discard(index: dict[K, set[bytes]], key: K, job_id: bytes) -> None:
    index[key].discard(job_id)
    if not index[key]:
        del index[key]
