"""Kinds of errors: what makes two failures the same, and which kind is new."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import msgspec

from tabur.model.clock import SECOND

#: Kinds remembered at most; the note that holds them stays below 64 KiB.
MOST = 1_000
#: A kind that did not come for so long is forgotten, and new when it comes again (microseconds).
FORGOTTEN = 30 * 86_400 * SECOND

_LONGEST = 300
_VARIABLE = [
    (re.compile(r"\S+@\S+"), "@"),
    (re.compile(r"\b\w+://\S+"), "URL"),
    (re.compile(r"(?i)\b0x[0-9a-f]+\b"), "#"),
    (re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "#"),
    (re.compile(r"(?i)\b[0-9]+(?:[.,:][0-9]+)*(?:e[+-]?[0-9]+)?\b"), "#"),
    (re.compile(r"(?i)\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b"), "#"),
    (re.compile(r"[0-9]+"), "#"),
    (re.compile(r"[+-]?#[#.,:]*"), "#"),
]


class Failure(msgspec.Struct, frozen=True):
    """A job that has failed for good. `ended_at` in microseconds."""

    job_id: str
    job: str
    queue: str
    type: str
    message: str
    ended_at: int


class Kind(msgspec.Struct, frozen=True):
    """A kind of error. `first` and `last`: when it came, microseconds; `is_new`: it was not there
    before somebody looked, and has come again and again since. What a failure of this kind tells
    stands here where one came just now."""

    fingerprint: str
    first: int
    last: int
    is_new: bool
    queue: str | None = None
    job: str | None = None
    type: str | None = None
    message: str | None = None
    job_id: str | None = None


def fingerprint(job: str, error: str, message: str) -> str:
    """Equal where the job, the type of the error, and its message are, but for numbers, ids,
    addresses and all that follows its first line."""
    line = message.strip().partition("\n")[0]
    for pattern, stands_for in _VARIABLE:
        line = pattern.sub(stands_for, line)
    told = "\0".join((job, error, line.strip()[:_LONGEST]))
    return hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=6).hexdigest()


def learn(
    known: Mapping[str, Kind], failures: Iterable[Failure], *, now: int, window: int, first: bool
) -> dict[str, Kind]:
    """The kinds known after these failures, by fingerprint. One that has stayed away for `window`
    microseconds is no longer new. At the `first` look, none is: what came before is known."""
    kinds = {
        each.fingerprint: _later(each, now, window)
        for each in known.values()
        if now - each.last < FORGOTTEN
    }
    for failure in sorted(failures, key=lambda each: each.ended_at):
        print_ = fingerprint(failure.job, failure.type, failure.message)
        before = kinds.get(print_)
        kinds[print_] = Kind(
            print_,
            first=failure.ended_at if before is None else before.first,
            last=failure.ended_at if before is None else max(before.last, failure.ended_at),
            is_new=not first if before is None else before.is_new,
            queue=failure.queue,
            job=failure.job,
            type=failure.type,
            message=failure.message,
            job_id=failure.job_id,
        )
    latest = sorted(kinds.values(), key=lambda each: each.last, reverse=True)
    return {each.fingerprint: each for each in latest[:MOST]}


def _later(kind: Kind, now: int, window: int) -> Kind:
    return Kind(kind.fingerprint, kind.first, kind.last, kind.is_new and now - kind.last <= window)


def pack(kinds: Mapping[str, Kind]) -> dict[str, tuple[int, int, bool]]:
    """As it is remembered: a text of an error may hold what is nobody's business."""
    return {each.fingerprint: (each.first, each.last, each.is_new) for each in kinds.values()}


def unpack(packed: Mapping[str, tuple[int, int, bool]]) -> dict[str, Kind]:
    return {print_: Kind(print_, *each) for print_, each in packed.items()}
