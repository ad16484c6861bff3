"""How often something may begin: pure. Moments and spans in microseconds."""

from __future__ import annotations

from msgspec.structs import replace

from tabur.middleware.shared import Remembered
from tabur.model.clock import SECOND

#: Beginnings are counted by slices of a period, so that any limit is kept in a few hundred numbers.
#: A slice counts until its end is a period ago: never too short.
SLICES = 256
#: By how much the clocks of two workers that tell the store's time may differ. What lies further
#: ahead was written before the store's clock was put back.
_APART = SECOND
#: How late somebody may come whose turn it is. Who waits for turns that nobody takes waits no
#: longer than this and two turns.
_LATE = 5 * SECOND


class Turns(Remembered, frozen=True):
    begun: tuple[tuple[int, int], ...] = ()
    """The number of each slice in which something began, oldest first, and how many."""
    last_begun: int = 0
    last_turn: int = 0
    """The last moment at which one who waits was told to come again."""
    youngest: int = 0
    """When the youngest of those who wait was dispatched: who is younger still comes after them."""


def begin(
    turns: Turns | None, now: int, dispatched: int, *, limit: int, per: int
) -> tuple[Turns, int]:
    """What a job, dispatched at a moment, is answered that wants to begin at `now`: 0, and is
    counted, or after how long it is to come again. Of any closed span of `per`, no more than
    `limit` begin in it.

    Those who wait get turns one after another, as often as the limit allows: a thousand do not all
    come back when there is room for one. A job is younger than all who wait, or is one of them.
    """
    width = max(1, per // SLICES)
    turns = _as_of(turns or Turns(until=0), now, width, per)
    now = max(now, turns.begun[-1][0] * width if turns.begun else 0)
    step = -(-(per + width) // limit)
    used = sum(count for _, count in turns.begun)
    waiting = turns.last_turn > now and not _nobody_comes(turns, now, step)
    if used < limit and not (waiting and dispatched > turns.youngest):
        begun = _counted(turns.begun, now // width)
        last_turn = turns.last_turn if waiting else 0
        until = max(now + per + width, last_turn)
        return Turns(
            until=until,
            begun=begun,
            last_begun=now,
            last_turn=last_turn,
            youngest=turns.youngest,
        ), 0
    earliest = max(now + 1, _room_at(turns, width, per, limit))
    turn = max(earliest, turns.last_turn + step) if waiting else earliest
    youngest = max(turns.youngest, dispatched) if waiting else dispatched
    until = max(turn, now + per + width)
    return replace(turns, last_turn=turn, youngest=youngest, until=until), turn - now


def _as_of(turns: Turns, now: int, width: int, per: int) -> Turns:
    """Without what is a whole period ago."""
    if turns.begun and turns.begun[-1][0] * width > now + _APART:
        turns = _put_back(turns, now, width)
    first = next(
        (n for n, (slice_, _) in enumerate(turns.begun) if (slice_ + 1) * width + per > now),
        len(turns.begun),
    )
    return replace(turns, begun=turns.begun[first:]) if first else turns


def _put_back(turns: Turns, now: int, width: int) -> Turns:
    """As if what lies ahead of the clock had begun just now."""
    current = now // width
    past = tuple(each for each in turns.begun if each[0] < current)
    ahead = sum(count for number, count in turns.begun if number >= current)
    return replace(turns, begun=(*past, (current, ahead)), last_begun=now, last_turn=0)


def _counted(begun: tuple[tuple[int, int], ...], number: int) -> tuple[tuple[int, int], ...]:
    """One more."""
    if begun and begun[-1][0] == number:
        return (*begun[:-1], (number, begun[-1][1] + 1))
    return (*begun, (number, 1))


def _room_at(turns: Turns, width: int, per: int, limit: int) -> int:
    """When there will be room for one, if nobody else comes."""
    excess = sum(count for _, count in turns.begun) - limit
    for number, count in turns.begun:
        excess -= count
        if excess < 0:
            return (number + 1) * width + per
    return 0


def _nobody_comes(turns: Turns, now: int, step: int) -> bool:
    """Nothing has begun for so long although some were told to come: they were cancelled."""
    return now - turns.last_begun > _LATE + 2 * step
