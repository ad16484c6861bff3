"""Taking jobs out, to bring them into another store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabur.drivers.contract import Rewrite
from tabur.drivers.redis import scripts
from tabur.drivers.redis.layout import new_again
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.rewriting import rewrite
from tabur.drivers.redis.scripts import Keys
from tabur.model.records import NewJob

#: Jobs that one script takes out, and taken-out ones that are told at once.
CHUNK, TOLD = 250, 1000


class RedisTransfer:
    def __init__(self, link: Link, keys: Keys, now: Callable[[], Word]) -> None:
        self._link = link
        self._keys = keys
        self._now = now

    def take_out(self, queue: str | None, *, limit: int) -> Sequence[NewJob]:
        taken: list[NewJob] = []
        more, stopped = 1, b""
        while more and len(taken) < limit:
            most = min(CHUNK, limit - len(taken))
            more, stopped, found = self._take_out(queue, "pending", most, stopped)
            taken += found
        passed = 0
        while len(taken) < limit:
            last = passed + min(CHUNK, limit - len(taken)) - 1
            ids = self._link.ask("ZRANGE", self._keys["due"], passed, last)
            if not ids:
                break
            _, _, found = self._take_out(queue, *ids)
            taken += found
            passed += len(ids) - len(found)
        return taken

    def taken_out(self) -> Sequence[NewJob]:
        ids = self._link.ask("SRANDMEMBER", self._keys["taken"], TOLD)
        words = iter(self._link.run(scripts.TAKEN, "", *ids, again=True))
        return [new_again(*each) for each in zip(words, words, words, strict=True)]

    def gone(self, job_ids: Sequence[bytes]) -> None:
        for first in range(0, len(job_ids), CHUNK):
            self._link.run(scripts.GONE, self._now(), *job_ids[first : first + CHUNK], again=True)

    def put_back(self, job_ids: Sequence[bytes]) -> None:
        for first in range(0, len(job_ids), CHUNK):
            chunk = job_ids[first : first + CHUNK]
            self._link.run(scripts.PUT_BACK, self._now(), *chunk, again=True)

    def rewrite(self, changes: Sequence[Rewrite]) -> int:
        return rewrite(self._link, self._keys, changes, self._now())

    def _take_out(self, queue: str | None, *what: Word) -> tuple[int, bytes, list[NewJob]]:
        more, stopped, found = self._link.run(
            scripts.TAKE_OUT, self._now(), queue or "", *what, durable=True
        )
        words = iter(found)
        return more, stopped, [new_again(*each) for each in zip(words, words, words, strict=True)]
