"""A driver's claiming, watched: every turn and every answer is written down. Some answers are lost
on purpose."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from chaos.ledger import ACCEPTED, CLAIMED, DECLINED, MISLAID, UNANSWERED, Move, Turn, Writer
from tabur.drivers.contract import Claiming, Exchange, Exchanged
from tabur.errors import StoreUnavailable
from tabur.model.outcome import Settled
from tabur.model.records import Attachment
from tabur.model.states import FINISHED


@cache
def writer(kind: str) -> Writer:
    return Writer(Path(os.environ["CHAOS_PLACE"]), kind)


class WatchedClaiming:
    """`losing`: the share of questions that are not sent, and the share of answers that are lost
    although all was done; in turn, not by chance."""

    def __init__(self, inner: Claiming, *, losing: float) -> None:
        self._inner = inner
        self._known = False
        self._every = round(1 / losing) if losing else 0
        self._asked = self._claimed = 0

    def exchange(self, turn: Exchange) -> Exchanged:
        asked = time.monotonic_ns()
        try:
            answer = self._ask(turn)
        except StoreUnavailable:
            self._note(_settles(turn, [UNANSWERED] * len(turn.settle), asked))
            raise
        took = time.monotonic_ns() - asked
        if answer.claimed or turn.settle or not self._known:
            self._known = True  # the first one says that this process works
            writer("turns").turn(Turn(asked, took, len(turn.settle), len(answer.claimed)))
            how = [ACCEPTED if each is Settled.DONE else DECLINED for each in answer.settled]
            self._note([*_settles(turn, how, asked), *_claims(turn, answer, CLAIMED, asked)])
        return answer

    def release_token(self, token: bytes) -> int:
        return self._inner.release_token(token)

    def release_worker(self, worker: str, **how: Any) -> int:
        """Not every version says it with the same words."""
        return self._inner.release_worker(worker, **how)

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        return self._inner.held(worker)

    def holders(self) -> Sequence[str]:
        return self._inner.holders()

    def begin(self, claims: Sequence[tuple[bytes, bytes]]) -> None:
        self._inner.begin(claims)

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        return self._inner.attach(job_id, token, attachment)

    def _ask(self, turn: Exchange) -> Exchanged:
        asked = time.monotonic_ns()
        self._asked += bool(turn.settle)
        if turn.settle and self._every and self._asked % self._every == 0:
            self._asked += 1  # the next try is sent
            raise StoreUnavailable("The question was lost on purpose.")
        answer = self._inner.exchange(turn)
        self._claimed += bool(answer.claimed)
        if answer.claimed and self._every and self._claimed % self._every == 0:
            self._note(_claims(turn, answer, MISLAID, asked))
            raise StoreUnavailable("The answer was lost on purpose.")
        return answer

    def _note(self, moves: Iterable[Move]) -> None:
        if noted := [*moves]:
            writer("moves").moves(noted)


def _settles(turn: Exchange, how: Sequence[int], asked: int) -> Iterator[Move]:
    now = time.monotonic_ns()
    for what, move in zip(how, turn.settle, strict=True):
        yield Move(what, move.to in FINISHED, asked, now, move.id, move.token)


def _claims(turn: Exchange, answer: Exchanged, what: int, asked: int) -> Iterator[Move]:
    now = time.monotonic_ns()
    for job in answer.claimed:
        yield Move(what, False, asked, now, job.id, turn.token)
