"""A worker's side: settling, reporting and claiming, each write fenced by its token."""

from __future__ import annotations

from collections.abc import Sequence

from tabur.drivers.contract import Exchange, Exchanged
from tabur.drivers.memory.entry import Entry, Past, has_token
from tabur.drivers.memory.store import MemoryStore
from tabur.model.outcome import Ending, Settled, Transition, called_back
from tabur.model.records import Attachment, Attempt, ClaimedJob, Crash
from tabur.model.states import FINISHED, Isolation


class MemoryClaiming:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def exchange(self, turn: Exchange) -> Exchanged:
        store = self._store
        with store.lock:
            settled = [self._settle(each) for each in turn.settle]
            for write in turn.progress:
                entry = store.held(write.id, write.token)
                if entry is not None:
                    entry.progress = write.progress
            store.promote()
            claimed = self._claim(turn)
            asked_to_stop = (
                frozenset(each.job.id for each in store.held_by(turn.worker) if each.cancelling)
                if turn.watch
                else frozenset()
            )
            if turn.settle:
                store.wake()
            return Exchanged(store.clock(), settled, claimed, asked_to_stop, store.next_due())

    def release_token(self, token: bytes) -> int:
        with self._store.lock:
            held = self._store.held_under(token)
            for entry in held:
                self._store.release(entry)
            self._store.wake()
        return len(held)

    def release_worker(self, worker: str, *, crash: Crash | None = None) -> int:
        with self._store.lock:
            held = self._store.held_by(worker)
            for entry in held:
                if crash is not None and crash.blames(entry.job.id):
                    self._blame(entry, crash)
                self._store.release(entry)
            self._store.wake()
        return len(held)

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        with self._store.lock:
            claims = [(each.job.id, each.claim) for each in self._store.held_by(worker)]
        return [(job_id, claim.token) for job_id, claim in claims if claim is not None]

    def holders(self) -> Sequence[str]:
        with self._store.lock:
            return self._store.holders()

    def begin(self, claims: Sequence[tuple[bytes, bytes]]) -> None:
        with self._store.lock:
            for job_id, token in claims:
                entry = self._store.held(job_id, token)
                if entry is not None:
                    self._store.bonds.begin(entry)

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        with self._store.lock:
            entry = self._store.held(job_id, token)
            if entry is None:
                return False
            entry.attachments[attachment.n] = attachment
            return True

    def _blame(self, entry: Entry, crash: Crash) -> None:
        """Keep that its claim's process died under it; no attempt is spent."""
        assert entry.claim is not None
        entry.crashes += 1
        entry.isolation = Isolation.PROCESS
        attempt = Attempt(
            attempt=entry.attempts,
            ending=Ending.CRASHED,
            started_at=entry.claim.at,
            ended_at=self._store.clock(),
            worker=entry.claim.worker,
            error=crash.error,
        )
        entry.history.append(Past(attempt))

    def _settle(self, move: Transition) -> Settled:
        store = self._store
        entry = store.jobs.get(move.id)
        if entry is None:
            return Settled.UNKNOWN
        if not has_token(entry, move.token):
            repeated = any(past.token == move.token for past in entry.history)
            return Settled.DONE if repeated else Settled.STALE
        if entry.cancelling and move.to not in FINISHED:
            move = called_back(move)
        if move.ending is not None:
            entry.history.append(_past(move, move.ending))
        if move.progress is not None:
            entry.progress = move.progress
        entry.attempts, entry.exceptions = move.attempts, move.exceptions
        entry.crashes = move.crashes
        if move.crashes:
            entry.isolation = Isolation.PROCESS
        if move.to in FINISHED:
            store.finish(entry, move.to)
        else:
            entry.due_at = move.due_at
            store.end_claim(entry)
            store.queue_up(entry)
        for follow_up in move.follow_ups:
            store.follow_up(follow_up)
        return Settled.DONE

    def _claim(self, turn: Exchange) -> list[ClaimedJob]:
        claimed: list[ClaimedJob] = []
        free = dict(turn.slots)
        for queue in turn.queues:
            for isolation, slots in free.items():
                taken = 0
                while taken < slots and (entry := self._store.pop(queue, isolation)):
                    self._store.claim(entry, turn.token, turn.worker)
                    claimed.append(_claimed(entry, turn.token))
                    taken += 1
                free[isolation] -= taken
        return claimed


def _past(move: Transition, ending: Ending) -> Past:
    attempt = Attempt(
        attempt=move.attempts,
        ending=ending,
        started_at=move.started_at,
        ended_at=move.ended_at,
        worker=move.worker,
        error=move.error,
    )
    return Past(attempt, move.token, move.result)


def _claimed(entry: Entry, token: bytes) -> ClaimedJob:
    job = entry.job
    return ClaimedJob(
        id=job.id,
        name=job.name,
        queue=job.queue,
        isolation=entry.isolation,
        payload=job.payload,
        created_at=job.created_at,
        attempts=entry.attempts,
        exceptions=entry.exceptions,
        crashes=entry.crashes,
        options=job.options,
        tenant=job.tenant,
        user=job.user,
        locale=job.locale,
        token=token,
    )
