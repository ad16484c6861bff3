"""A driver's claiming, watched: every turn and every answer is written down. Some answers are lost
on purpose."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from random import random
from typing import Any, TypeVar

from chaos.ledger import ACCEPTED, CLAIMED, DECLINED, UNANSWERED, Move, Turn, Writer
from tabur.drivers.contract import Claiming, Exchange, Exchanged
from tabur.errors import StoreUnavailable
from tabur.model.outcome import Settled
from tabur.model.records import Attachment
from tabur.model.states import FINISHED

T = TypeVar("T")


@cache
def writer(kind: str) -> Writer:
    return Writer(Path(os.environ["CHAOS_PLACE"]), kind)


class WatchedClaiming:
    """`losing`: the share of questions that are not sent, and the share of answers that are lost
    although all was done."""

    def __init__(self, inner: Claiming, *, losing: float) -> None:
        self._inner = inner
        self._losing = losing
        self._known = False

    def exchange(self, turn: Exchange) -> Exchanged:
        asked = time.monotonic_ns()
        try:
            answer = self._ask(lambda: self._inner.exchange(turn))
        except StoreUnavailable:
            unanswered = _settles(turn, [UNANSWERED] * len(turn.settle), asked)
            writer("moves").moves([*unanswered])
            raise
        took = time.monotonic_ns() - asked
        if answer.claimed or turn.settle or not self._known:
            self._known = True  # the first one says that this process works
            writer("turns").turn(Turn(asked, took, len(turn.settle), len(answer.claimed)))
            how = [ACCEPTED if each is Settled.DONE else DECLINED for each in answer.settled]
            claims = [
                Move(CLAIMED, False, asked, asked + took, job.id, turn.token)
                for job in answer.claimed
            ]
            writer("moves").moves([*_settles(turn, how, asked), *claims])
        return answer

    def release_token(self, token: bytes) -> int:
        return self._ask(lambda: self._inner.release_token(token))

    def release_worker(self, worker: str, **how: Any) -> int:
        """Not every version says it with the same words."""
        return self._inner.release_worker(worker, **how)

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        return self._ask(lambda: self._inner.held(worker))

    def holders(self) -> Sequence[str]:
        return self._ask(self._inner.holders)

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        return self._inner.attach(job_id, token, attachment)

    def _ask(self, question: Callable[[], T]) -> T:
        if random() < self._losing:
            raise StoreUnavailable("The question was lost on purpose.")
        answer = question()
        if random() < self._losing:
            raise StoreUnavailable("The answer was lost on purpose.")
        return answer


def _settles(turn: Exchange, how: Sequence[int], asked: int) -> Iterator[Move]:
    now = time.monotonic_ns()
    for what, move in zip(how, turn.settle, strict=True):
        yield Move(what, move.to in FINISHED, asked, now, move.id, move.token)
