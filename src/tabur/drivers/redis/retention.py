"""Finished jobs as what takes room, and their removal."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from itertools import islice

from tabur.drivers.redis import scripts
from tabur.drivers.redis.dispatching import CHUNK
from tabur.drivers.redis.layout import finished_job
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys
from tabur.model.keeping import FinishedJob
from tabur.model.states import FINISHED, State

_PAGE = 1_000


class RedisRetention:
    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def finished(self, *, before: int | None = None) -> Iterator[Sequence[FinishedJob]]:
        ended = heapq.merge(
            *(self._ended(state, before) for state in sorted(FINISHED)), reverse=True
        )
        while ids := [job_id for _, job_id in islice(ended, _PAGE)]:
            yield list(self._weighed(ids))

    def remove(self, job_ids: Sequence[bytes]) -> int:
        return sum(
            self._link.run(scripts.FORGET, "", "", *job_ids[first : first + CHUNK])
            for first in range(0, len(job_ids), CHUNK)
        )

    def _ended(self, state: State, before: int | None) -> Iterator[tuple[float, bytes]]:
        """Moment and id of the jobs in one state, from the last to the first. What leaves meanwhile
        moves those behind it up, so that each page begins at the moment where the last one ended,
        and passes over what it has met."""
        bound: Word = "+inf" if before is None else f"({before}"
        met, skipped = (math.inf, b""), 0
        while True:
            words = iter(
                self._link.ask(
                    *("ZREVRANGEBYSCORE", self._keys[state.value], bound, "-inf", "WITHSCORES"),
                    *("LIMIT", skipped, _PAGE),
                )
            )
            page = [
                (float(score), job_id, score) for job_id, score in zip(words, words, strict=True)
            ]
            fresh = [each for each in page if each[:2] < met]
            if fresh:
                yield from (each[:2] for each in fresh)
                met, bound, skipped = fresh[-1][:2], fresh[-1][2], 0
            elif len(page) == _PAGE:
                skipped += _PAGE  # many that ended in one moment
            else:
                return

    def _weighed(self, ids: Sequence[bytes]) -> Iterator[FinishedJob]:
        left = ids
        while left:
            looked, found = self._link.run(scripts.WEIGH, "", *left, again=True)
            words = iter(found)
            for row in zip(words, words, words, words, strict=True):
                yield finished_job(*row)
            left = left[looked:]
