"""Bringing jobs in, and the moves that people ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.drivers.redis import scripts
from tabur.drivers.redis.bonds import packed_batch
from tabur.drivers.redis.inspection import RedisInspection
from tabur.drivers.redis.layout import packed_job, packed_reason
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys
from tabur.errors import ConfigError
from tabur.model.batches import NewBatch
from tabur.model.records import NewJob
from tabur.model.states import FINISHED

#: Jobs and bytes that one script brings in: so many are dispatched all or none.
JOBS_AT_ONCE, BYTES_AT_ONCE = 5_000, 16_000_000
#: Jobs that one script cancels, retries or removes, so that it stays short.
CHUNK = 250

_CANCEL_ANSWERS = {
    b"x": CancelAnswer.CANCELLED,
    b"c": CancelAnswer.CANCELLING,
    b"f": CancelAnswer.FINISHED,
    b"u": CancelAnswer.UNKNOWN,
}


class RedisDispatching:
    def __init__(
        self, link: Link, keys: Keys, inspection: RedisInspection, now: Callable[[], Word]
    ) -> None:
        self._link = link
        self._keys = keys
        self._inspection = inspection
        self._now = now

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> Mapping[bytes, bytes]:
        """Up to 5,000 jobs and 16 MB are brought in at once. What is larger goes in parts: where
        one of them fails, those before it stay, and repeating the whole is safe."""
        if batches or any(job.bonds is not None for job in jobs):
            return self._bind(jobs, batches)
        for words in _parts(jobs):
            self._link.run(scripts.DISPATCH, self._now(), *words, again=True, durable=True)
        return {}

    def _bind(self, jobs: Sequence[NewJob], batches: Sequence[NewBatch]) -> Mapping[bytes, bytes]:
        """Batches are open until the last part is here: none finishes before. What waits comes
        first, so that nothing that it waits for ends before."""
        parts = list(_parts(jobs)) or [[]]
        if len(parts) > 1:
            parts = list(_parts(sorted(jobs, key=lambda job: not job.blockers)))
        opened: list[Word] = [len(batches)]
        for batch in batches:
            opened += (batch.id, packed_batch(batch))
        holders: dict[bytes, bytes] = {}
        for n, part in enumerate(parts, 1):
            words = [self._now(), int(n == len(parts)), *opened, *part]
            found = self._link.run(scripts.BIND, *words, again=True, durable=True)
            if found is None:
                raise ConfigError("The batch has finished or is not known: it takes no more jobs.")
            pairs = iter(found)
            holders.update(zip(pairs, pairs, strict=True))
        return holders

    def cancel(self, job_id: bytes) -> CancelAnswer:
        reason = packed_reason("Called back.")
        answer = self._link.run(scripts.CANCEL, self._now(), job_id, reason, durable=True)
        return _CANCEL_ANSWERS[answer]

    def retry(self, job_ids: Iterable[bytes]) -> int:
        return sum(
            self._link.run(scripts.RETRY, self._now(), *chunk, durable=True)
            for chunk in _chunks(job_ids)
        )

    def forget(self, which: Filter) -> int:
        if not FINISHED.issuperset(which.states):
            raise ConfigError("Only finished jobs can be forgotten.")
        bound = "" if which.ended_before is None else which.ended_before
        forgotten = 0
        for ids in self._finished(which):
            for chunk in _chunks(self._matching(ids, which)):
                forgotten += self._link.run(scripts.FORGET, self._now(), bound, *chunk)
        return forgotten

    def _finished(self, which: Filter) -> Iterator[Sequence[bytes]]:
        """Ids among which all finished jobs that match stand, page by page."""
        if which.batch is not None:
            yield from self._inspection.members(which.batch)
            return
        for state in which.states or sorted(FINISHED):
            yield from self._inspection.ended(state, before=which.ended_before)

    def _matching(self, ids: Sequence[bytes], which: Filter) -> Sequence[bytes]:
        """Of finished jobs in the right state, ended at the right time."""
        if (which.queue, which.name, which.owner, which.tenant, which.batch) == (None,) * 5:
            return ids
        return [each.id for each in self._inspection.read(ids, which)]

    def forget_one(self, job_id: bytes) -> bool:
        return bool(self._link.run(scripts.FORGET, self._now(), "", job_id))

    def clear(self, queue: str) -> int:
        reason = packed_reason("The queue was cleared.")
        cleared, more = 0, 1
        # First what is not pending: the end of what is pending may let it be so.
        for ids in self._inspection.waiting():
            for chunk in _chunks(ids):
                some, _ = self._link.run(
                    scripts.CLEAR, self._now(), queue, reason, *chunk, durable=True
                )
                cleared += some
        while more:
            some, more = self._link.run(
                scripts.CLEAR, self._now(), queue, reason, "pending", CHUNK, durable=True
            )
            cleared += some
        return cleared


def _parts(jobs: Sequence[NewJob]) -> Iterator[list[bytes]]:
    """Id, stand and record of each job, as much as one script may bring in."""
    words: list[bytes] = []
    size = 0
    for job in jobs:
        if len(words) >= 3 * JOBS_AT_ONCE or size >= BYTES_AT_ONCE:
            yield words
            words, size = [], 0
        words += packed_job(job)
        size += len(words[-1])
    if words:
        yield words


def _chunks(job_ids: Iterable[bytes]) -> Iterator[list[bytes]]:
    ids = list(job_ids)
    for first in range(0, len(ids), CHUNK):
        yield ids[first : first + CHUNK]
