"""Reading: jobs as records, queues, history."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

from tabur.drivers.contract import Filter
from tabur.drivers.redis import scripts
from tabur.drivers.redis.layout import attempt, created_at, files, job_record
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys
from tabur.model.bonds import Bonds
from tabur.model.records import Attachment, Attempt, Backlog, JobRecord, Owner, QueueSize
from tabur.model.states import FINISHED, State

#: Jobs read by one command or script.
PAGE = 1_000
#: States that hold no more than this are looked through whole; among more, a page is soon full.
FEW = 5_000
EVERY = Filter()
_NO_BONDS = Bonds()
#: No id is so large.
_BEHIND_ALL = b"\xff" * 17

_KINDS = {State.PENDING: "p", State.SCHEDULED: "s", State.BLOCKED: "b", State.PROCESSING: "r"}
_STATES = {kind: state for state, kind in _KINDS.items()}
_ENDS = {State.COMPLETED: "C", State.FAILED: "F", State.CANCELLED: "X"}


class RedisInspection:
    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def find(self, job_id: bytes) -> JobRecord | None:
        return next(self.read([job_id], payload=True), None)

    def list(self, which: Filter, *, limit: int, after: bytes | None = None) -> Sequence[JobRecord]:
        return list(islice(self._matching(which, after=after, at_once=limit), limit))

    def count(self, which: Filter, *, at_most: int) -> int:
        counted = self._known_count(which)
        if counted is None and which.ended_since is not None and which.batch is None:
            counted = sum(1 for _ in islice(self._ended_matching(which), at_most))
        if counted is None:
            counted = sum(1 for _ in islice(self._matching(which), at_most))
        return min(counted, at_most)

    def queues(self) -> Sequence[QueueSize]:
        sizes: dict[str, dict[State, int]] = {}
        for state, queue, size in self._sizes():
            sizes.setdefault(queue, {})[state] = size
        oldest = self._oldest()
        return [
            QueueSize(
                queue=queue,
                pending=sizes[queue].get(State.PENDING, 0),
                scheduled=sizes[queue].get(State.SCHEDULED, 0),
                blocked=sizes[queue].get(State.BLOCKED, 0),
                processing=sizes[queue].get(State.PROCESSING, 0),
                oldest_pending=oldest.get(queue),
            )
            for queue in sorted(sizes)
        ]

    def backlog(self, queue: str, *, at_most: int) -> Backlog:
        field = f"{_KINDS[State.PENDING]}{queue}"
        pending = int(self._link.ask("HGET", self._keys["sizes"], field) or 0)
        oldest = self._oldest().get(queue) if pending else None
        return Backlog(min(pending, at_most), oldest)

    def attempts(self, job_id: bytes) -> Sequence[Attempt]:
        return [attempt(each) for each in self._link.run(scripts.ATTEMPTS, "", job_id, again=True)]

    def attachments(self, job_id: bytes) -> Sequence[Attachment]:
        return files(self._link.ask("HGET", self._keys["files"], job_id) or b"")

    def cursor(self, job_id: bytes) -> bytes | None:
        """None: a checkpoint belongs to a transaction of the store, and here is none to join."""
        return None

    # for the other roles

    def read(
        self, job_ids: Sequence[bytes], which: Filter = EVERY, *, payload: bool = False
    ) -> Iterator[JobRecord]:
        """Those that are known and match, in the order of `job_ids`."""
        texts = _texts(which)
        asked = ("payload" if payload else "", _letters(which), which.queue or "", len(texts))
        left = job_ids
        while left:
            looked, found = self._link.run(scripts.READ, "", *asked, *texts, *left, again=True)
            words = iter(found)
            for row in zip(words, words, words, words, words, strict=True):
                record = job_record(*row)
                if matches(record, which):
                    yield record
            left = left[looked:]

    def ended(
        self, state: State, *, before: int | None, since: int | None = None
    ) -> Iterator[Sequence[bytes]]:
        """Ids of finished jobs page by page, those that ended first first. What the caller leaves
        there is not met again."""
        bound: Word = "+inf" if before is None else f"({before}"
        first: Word = "-inf" if since is None else since
        last, skipped = (-math.inf, b""), 0
        while True:
            words = iter(
                self._link.ask(
                    *("ZRANGEBYSCORE", self._keys[state.value], first, bound, "WITHSCORES"),
                    *("LIMIT", skipped, PAGE),
                )
            )
            page = [
                (float(score), job_id, score) for job_id, score in zip(words, words, strict=True)
            ]
            fresh = [each for each in page if each[:2] > last]
            if fresh:
                yield [job_id for _, job_id, _ in fresh]
                last, first, skipped = fresh[-1][:2], fresh[-1][2], 0
            elif len(page) == PAGE:
                skipped += PAGE  # many that ended in one moment
            else:
                return

    def waiting(self) -> Iterator[Sequence[bytes]]:
        """Ids of all that wait otherwise than for a worker, page by page; some may come twice."""
        for command, name in (("ZSCAN", "due"), ("SSCAN", "blocked"), ("SSCAN", "taken")):
            cursor = b"0"
            while True:
                cursor, found = self._link.ask(command, self._keys[name], cursor, "COUNT", PAGE)
                yield found[::2] if command == "ZSCAN" else found
                if cursor == b"0":
                    break

    def members(
        self, batch: bytes, *, after: bytes | None = None, size: int = PAGE
    ) -> Iterator[Sequence[bytes]]:
        """Ids of the jobs of a batch page by page, newest first."""
        first, bound = b"[" + batch, b"(" + batch + (_BEHIND_ALL if after is None else after)
        while True:
            found = self._link.ask(
                *("ZREVRANGEBYLEX", self._keys["members"], bound, first, "LIMIT", 0, size)
            )
            if not found:
                return
            yield [each[16:] for each in found]
            bound, size = b"(" + found[-1], PAGE

    # helpers

    def _matching(
        self, which: Filter, *, after: bytes | None = None, at_once: int = PAGE
    ) -> Iterator[JobRecord]:
        """Jobs that match, newest id first."""
        for ids in self._pages(which, after, max(1, min(at_once, PAGE))):
            yield from self.read(ids, which)

    def _pages(self, which: Filter, after: bytes | None, size: int) -> Iterator[Sequence[bytes]]:
        """Ids among which all that match stand, newest first."""
        if which.batch is not None:
            yield from self.members(which.batch, after=after, size=size)
            return
        few = self._few(which)
        if few is not None:
            ids = sorted((each for each in few if after is None or each < after), reverse=True)
            for first in range(0, len(ids), size):
                yield ids[first : first + size]
            return
        bound: Word = "+" if after is None else b"(" + after
        while True:
            ids = self._link.ask("ZREVRANGEBYLEX", self._keys["ids"], bound, "-", "LIMIT", 0, size)
            if not ids:
                return
            yield ids
            bound = b"(" + ids[-1]
            size = PAGE  # few of them match: look further at once

    def _few(self, which: Filter) -> set[bytes] | None:
        """Ids of all jobs in the states that are asked for, where those are few."""
        if not which.states and not _is_about_ends(which):
            return None
        ended = FINISHED.intersection(which.states or FINISHED)
        kinds = "".join(_KINDS[state] for state in set(which.states) - FINISHED)
        since: Word = "-inf" if which.ended_since is None else which.ended_since
        if sum(self._ended_count(state, since) for state in ended) > FEW:
            return None
        unfinished: Sequence[bytes] | None = []
        if kinds and not _is_about_ends(which):
            unfinished = self._link.run(scripts.FEW, "", kinds, FEW, again=True)
        if unfinished is None:
            return None
        return {*unfinished}.union(
            *(
                self._link.ask("ZRANGEBYSCORE", self._keys[state.value], since, "+inf")
                for state in ended
            )
        )

    def _ended_matching(self, which: Filter) -> Iterator[JobRecord]:
        """Finished jobs that match, in no order."""
        for state in FINISHED.intersection(which.states or FINISHED):
            for ids in self.ended(state, before=which.ended_before, since=which.ended_since):
                yield from self.read(ids, which)

    def _ended_count(self, state: State, since: Word) -> int:
        counted: int = self._link.ask("ZCOUNT", self._keys[state.value], since, "+inf")
        return counted

    def _known_count(self, which: Filter) -> int | None:
        """The count of a filter that is kept anyway."""
        if (which.name, which.owner, which.tenant, which.ended_before) != (None,) * 4:
            return None
        if which.ended_since is not None:
            if which.queue is not None or which.batch is not None:
                return None
            asked = FINISHED.intersection(which.states or FINISHED)
            return sum(self._ended_count(state, which.ended_since) for state in asked)
        if which.states == () and which.queue is None:
            return self._total(which.batch)
        states = set(which.states or State)
        if which.batch is not None or (which.queue is not None and states & FINISHED):
            return None
        unfinished = sum(
            size
            for state, queue, size in self._sizes()
            if state in states and which.queue in (None, queue)
        )
        ended: int = sum(
            self._link.ask("ZCARD", self._keys[state.value]) for state in states & FINISHED
        )
        return unfinished + ended

    def _total(self, batch: bytes | None) -> int:
        total: int
        if batch is None:
            total = self._link.ask("HLEN", self._keys["jobs"])
        else:
            first, last = b"[" + batch, b"(" + batch + _BEHIND_ALL
            total = self._link.ask("ZLEXCOUNT", self._keys["members"], first, last)
        return total

    def _oldest(self) -> dict[str, int]:
        """By queue, when the first of its lanes was dispatched."""
        oldest: dict[str, int] = {}
        words = iter(self._link.run(scripts.FRONTS, "", again=True))
        for queue, record in zip(words, words, strict=True):
            name, moment = queue.decode(), created_at(record)
            oldest[name] = min(moment, oldest.get(name, moment))
        return oldest

    def _sizes(self) -> Iterator[tuple[State, str, int]]:
        words = iter(self._link.ask("HGETALL", self._keys["sizes"]))
        for field, size in zip(words, words, strict=True):
            name = field.decode()
            yield _STATES[name[0]], name[1:], int(size)


def matches(record: JobRecord, which: Filter) -> bool:
    if which.ended_before is not None and (
        record.state not in FINISHED
        or record.ended_at is None
        or record.ended_at >= which.ended_before
    ):
        return False
    if which.ended_since is not None and (
        record.state not in FINISHED
        or record.ended_at is None
        or record.ended_at < which.ended_since
    ):
        return False
    return (
        (not which.states or record.state in which.states)
        and (which.queue is None or record.queue == which.queue)
        and (which.name is None or record.name == which.name)
        and (which.owner is None or record.owner == which.owner)
        and (which.batch is None or (record.bonds or _NO_BONDS).batch == which.batch)
        and (which.tenant is None or record.tenant == which.tenant)
    )


def _is_about_ends(which: Filter) -> bool:
    return which.ended_before is not None or which.ended_since is not None


def _letters(which: Filter) -> str:
    """The states that count, as lua/read.lua knows them; empty: all."""
    states = which.states
    if _is_about_ends(which):
        states = tuple(FINISHED.intersection(states or FINISHED))
    return "".join(_KINDS.get(state) or _ENDS[state] for state in states)


def _texts(which: Filter) -> list[str]:
    """What a job that matches bears for certain."""
    owner = which.owner or Owner()
    return [text for text in (which.name, owner.tenant, owner.user, which.tenant) if text]
