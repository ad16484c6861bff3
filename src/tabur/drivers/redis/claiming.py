"""A worker's turn: settle what has ended and claim what is free, in one script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tabur.drivers.contract import Exchange, Exchanged, ProgressWrite
from tabur.drivers.redis import scripts
from tabur.drivers.redis.bonds import packed_bonds, packed_place
from tabur.drivers.redis.layout import (
    ISOLATION,
    DataErrors,
    claimed_job,
    packed_calling_back,
    packed_crash,
    packed_file,
    packed_head,
    packed_job,
    packed_outcome,
    packed_progress,
    packed_queue,
    packed_reason,
)
from tabur.drivers.redis.link import Link, Word
from tabur.model.clock import now_us
from tabur.model.outcome import (
    CALLED_BACK,
    Cancel,
    Dispatch,
    FollowUp,
    Settled,
    Transition,
    Unblock,
    unstorable,
)
from tabur.model.records import Attachment, ClaimedJob, Crash
from tabur.model.states import FINISHED, Isolation

_ANSWERS = {ord("d"): Settled.DONE, ord("s"): Settled.STALE, ord("u"): Settled.UNKNOWN}


class RedisClaiming:
    def __init__(self, link: Link, now: Callable[[], Word]) -> None:
        self._link = link
        self._now = now

    def exchange(self, turn: Exchange) -> Exchanged:
        words: list[Word] = [turn.worker, turn.token, int(turn.watch), *_moves(turn.settle)]
        words += _reports(turn.progress)
        now, answers, due, more, called_back, found = self._run(words, turn, turn.slots)
        claimed = _claims(found, turn.token)
        while more:  # it had to pass over many entries of cancelled jobs
            left = _left(turn.slots, claimed)
            again: list[Word] = [turn.worker, turn.token, 0, 0, 0, 0]
            now, _, due, more, _, found = self._run(again, turn, left)
            claimed += _claims(found, turn.token)
        return Exchanged(
            now=now,
            settled=[_ANSWERS[answer] for answer in answers],
            claimed=claimed,
            cancelling=frozenset(called_back),
            next_due=int(due) if due else None,
        )

    def release_token(self, token: bytes) -> int:
        return self._release(token, "token")

    def release_worker(self, worker: str, *, crash: Crash | None = None) -> int:
        if crash is None:
            return self._release(worker, "worker")
        whom = "all" if crash.blamed is None else "some"
        before, behind = packed_crash(worker, crash.error)
        return self._release(worker, "worker", whom, before, behind, *(crash.blamed or ()))

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        words = iter(self._link.run(scripts.HELD, self._now(), worker, again=True))
        return list(zip(words, words, strict=True))

    def holders(self) -> Sequence[str]:
        names: list[bytes] = self._link.run(scripts.HOLDERS, self._now(), again=True)
        return [name.decode() for name in names]

    def begin(self, claims: Sequence[tuple[bytes, bytes]]) -> None:
        words = (word for claim in claims for word in claim)
        self._link.run(scripts.BEGIN, self._now(), *words, again=True)

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        number, file = packed_file(attachment)
        return bool(self._link.run(scripts.ATTACH, self._now(), job_id, token, number, file))

    def _run(
        self, words: list[Word], turn: Exchange, slots: Mapping[Isolation, int]
    ) -> tuple[int, bytes, bytes, int, list[bytes], list[bytes]]:
        """Never sent twice: under one token it might claim twice."""
        wanted = [(ISOLATION[kind], free) for kind, free in slots.items() if free > 0]
        queues = turn.queues if wanted else ()
        asked: list[Word] = [len(wanted), *(word for pair in wanted for word in pair)]
        asked += [len(queues), *(packed_queue(queue) for queue in queues)]
        answer: tuple[int, bytes, bytes, int, list[bytes], list[bytes]] = self._link.run(
            scripts.EXCHANGE, self._now(), *words, *asked
        )
        return answer

    def _release(self, name: Word, of: str, whom: str = "none", *crash: Word) -> int:
        reason = packed_reason(CALLED_BACK)
        released: int = self._link.run(scripts.RELEASE, self._now(), name, of, reason, whom, *crash)
        return released


def _moves(moves: Sequence[Transition]) -> list[Word]:
    """How many moves and different bonds; a head of each move, an outcome of each, the bonds, and
    what some moves have besides."""
    heads: list[Word] = []
    outcomes: list[Word] = []
    more: list[Word] = []
    bonds: dict[bytes, int] = {}
    for move in moves:
        try:
            head, outcome, rest = _packed(move)
        except DataErrors as error:
            # Something in it cannot be stored: the job fails with that as its reason, and its
            # neighbours do not notice.
            head, outcome, rest = _packed(
                unstorable(move, error, attempts=_countable(move.attempts), now=now_us())
            )
        if move.bonds is not None:
            head += packed_place(bonds.setdefault(packed_bonds(move.bonds), len(bonds)))
        heads.append(head)
        outcomes.append(outcome)
        more += rest
    return [len(moves), len(bonds), *heads, *outcomes, *bonds, *more]


def _packed(move: Transition) -> tuple[bytes, bytes, list[Word]]:
    if move.to in FINISHED and move.progress is None and not move.follow_ups:
        return packed_head(move, more=False), packed_outcome(move), []
    rest: list[Word] = [
        b"" if move.progress is None else packed_progress(move.progress),
        b"" if move.to in FINISHED else packed_calling_back(move, CALLED_BACK),
        len(move.follow_ups),
    ]
    for follow_up in move.follow_ups:
        rest += _follow_up(follow_up)
    return packed_head(move, more=True), packed_outcome(move), rest


def _follow_up(follow_up: FollowUp) -> Sequence[Word]:
    match follow_up:
        case Unblock(job):
            return ("u", job)
        case Cancel(job, reason):
            return ("x", job, packed_reason(reason))
        case Dispatch(job):
            return ("d", *packed_job(job))


def _reports(reports: Sequence[ProgressWrite]) -> list[Word]:
    words: list[Word] = [len(reports)]
    for each in reports:
        words += (each.id + each.token, packed_progress(each.progress))
    return words


def _claims(found: list[bytes], token: bytes) -> list[ClaimedJob]:
    words = iter(found)
    return [claimed_job(stand, record, token) for stand, record in zip(words, words, strict=True)]


def _left(slots: Mapping[Isolation, int], claimed: Sequence[ClaimedJob]) -> dict[Isolation, int]:
    left = dict(slots)
    for job in claimed:
        left[job.isolation] -= 1
    return left


def _countable(number: int) -> int:
    """As near to it as its place in a record can hold."""
    return min(max(number, 0), 2**32 - 1)
