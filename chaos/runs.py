"""The runs of one job, and what a store did with the writes of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaos.ledger import ACCEPTED, CLAIMED, ENDED, RAISED, UNANSWERED, Effect, Move

#: Nanoseconds that it may take us to see on a busy machine that a process has ended.
UNSEEN = 500_000_000


@dataclass
class RunOf:
    """One claim's run. Moments are monotonic nanoseconds."""

    job: bytes
    token: bytes
    attempt: int
    pid: int
    started: int
    ended: int | None = None
    raised: bool = False
    """On purpose: it has asked to run again."""

    def was_gone(self, after: RunOf, gone: Mapping[int, int]) -> bool:
        """Whether its process had ended when `after` began."""
        return self.pid in gone and gone[self.pid] <= after.started + UNSEEN


def runs_of(effects: Iterable[Effect]) -> list[RunOf]:
    """Of one job, from its effects in the order of time."""
    found: dict[bytes, RunOf] = {}
    for each in effects:
        run = found.get(each.token)
        if run is None:
            run = found[each.token] = RunOf(each.job, each.token, each.attempt, each.pid, each.at)
        if each.what == ENDED:
            run.ended = each.at
        elif each.what == RAISED:
            run.raised = True
    return list(found.values())


def accepted_ends(moves: Iterable[Move]) -> frozenset[tuple[bytes, bytes]]:
    """Job and token of claims at whose end the job was at its own, and the store took note."""
    return frozenset(
        (each.job, each.token) for each in moves if each.what == ACCEPTED and each.ends
    )


def late_and_accepted(moves: Sequence[Move]) -> list[Move]:
    """Settles that a store accepted, although another claim of their job had been answered before
    they were sent. One that was sent before and is sent again may be told so again."""
    claims: dict[bytes, list[Move]] = defaultdict(list)
    unanswered: set[tuple[bytes, bytes]] = set()
    late: list[Move] = []
    for each in moves:
        if each.what == CLAIMED:
            claims[each.job].append(each)
        elif each.what == UNANSWERED:
            unanswered.add((each.job, each.token))
        elif (
            each.what == ACCEPTED
            and (each.job, each.token) not in unanswered
            and _has_moved_on(claims[each.job], each)
        ):
            late.append(each)
    return late


def claims_of(moves: Iterable[Move]) -> dict[bytes, list[bytes]]:
    """By job, the tokens of its claims in the order in which they were answered: who stood still
    may have asked long before."""
    claims: dict[bytes, list[bytes]] = defaultdict(list)
    for each in sorted(moves, key=lambda move: move.answered):
        if each.what == CLAIMED:
            claims[each.job].append(each.token)
    return claims


def _has_moved_on(claims: Sequence[Move], settle: Move) -> bool:
    own = next((each for each in claims if each.token == settle.token), None)
    if own is None:
        return False
    return any(
        each.token != settle.token
        and each.asked >= own.answered  # whichever came first while both were under way is open
        and each.answered <= settle.asked
        for each in claims
    )
