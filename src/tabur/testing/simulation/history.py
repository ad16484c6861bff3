"""What happened in one world, for people to read and for two runs to be compared."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from tabur.model.records import ClaimedJob, NewJob


class Summary(msgspec.Struct, frozen=True):
    """`drained`: seconds from the last fault until all had come to its end; `seconds`: how long it
    took in all; both in virtual time."""

    seed: int
    broken: str | None
    digest: str
    jobs: int
    runs: int
    calls: int
    """Of the store."""
    unanswered: int
    """Of those, to which no answer came."""
    drained: float
    seconds: float


class History:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.broken: str | None = None
        """Which promise was, first; None: all were kept."""
        self.jobs = self.runs = self.calls = self.unanswered = 0
        self.drained = self.seconds = 0.0
        self._events: list[tuple[float, str, str]] = []

    def add(self, now: float, by: str, what: str, about: tuple[Any, ...]) -> None:
        self._events.append((now, by, said(what, about)))

    @property
    def lines(self) -> list[str]:
        return [f"{now:9.3f}  {by:<16}  {what}" for now, by, what in self._events]

    @property
    def summary(self) -> Summary:
        return Summary(
            self.seed,
            self.broken,
            self.digest,
            jobs=self.jobs,
            runs=self.runs,
            calls=self.calls,
            unanswered=self.unanswered,
            drained=round(self.drained, 3),
            seconds=round(self.seconds, 3),
        )

    @property
    def digest(self) -> str:
        """The same for two runs in which the same happened."""
        return sha256("\n".join(self.lines).encode()).hexdigest()[:16]


def said(what: str, about: tuple[Any, ...]) -> str:
    """`what`, with `about` in its braces, or behind it."""
    named = [each if isinstance(each, float) else name(each) for each in about]
    return what.format(*named) if about and "{" in what else " ".join([what, *map(str, named)])


def name(each: Any) -> str:
    match each:
        case ClaimedJob():
            return f"job {number(each.id)} (claim {number(each.token)})"
        case NewJob():
            return f"job {number(each.id)}"
        case bytes():
            return f"{number(each)}"
        case list():
            return ", ".join(map(name, each)) or "nothing"
        case None:
            return "never began"
    return str(each)


def number(raw: bytes) -> int:
    """Ids and tokens of a simulation are numbers."""
    return int.from_bytes(raw)
