"""How often something may begin, under a clock of the tests': never above the limit in any span,
and everybody's turn comes."""

from __future__ import annotations

from heapq import heappop, heappush

from hypothesis import given
from hypothesis import strategies as st

from tabur.middleware.rates import SLICES, Turns, begin
from tabur.model.clock import SECOND

NOW = 1_800_000_000 * SECOND


class Door:
    """Those who come to it at moments of a virtual clock, each asking with the clock of its worker;
    who has to wait comes again when told to, or a bit later."""

    def __init__(self, limit: int, per: int) -> None:
        self.limit = limit
        self.per = per
        self.turns: Turns | None = None
        self.begun: list[int] = []
        self.asked = 0

    def ask(self, now: int, dispatched: int = NOW) -> int:
        self.asked += 1
        self.turns, delay = begin(self.turns, now, dispatched, limit=self.limit, per=self.per)
        if delay == 0:
            self.begun.append(now)
        return delay

    def let_in(self, arrivals: list[int], late: list[int]) -> None:
        """All of them, until the last has begun."""
        line = [(moment, n, moment) for n, moment in enumerate(arrivals)]
        line.sort()
        n = 0
        while line:
            now, who, dispatched = heappop(line)
            if delay := self.ask(now, dispatched):
                n += 1
                heappush(line, (now + delay + late[n % len(late)], who, dispatched))

    def most(self) -> int:
        """The most that began in any closed span of `per`."""
        begun = sorted(self.begun)
        return max(
            sum(1 for each in begun[n:] if each - first <= self.per)
            for n, first in enumerate(begun)
        )


LIMITS = st.integers(1, 12)
PERIODS = st.sampled_from([1_000, 77_777, SECOND, 60 * SECOND, 3600 * SECOND])


@given(st.data(), LIMITS, PERIODS)
def test_no_span_sees_more_than_the_limit_begin_and_all_begin(
    data: st.DataObject, limit: int, per: int
) -> None:
    spread = st.integers(0, 3 * per)
    arrivals = [NOW + each for each in data.draw(st.lists(spread, min_size=1, max_size=60))]
    late = data.draw(st.lists(st.integers(0, per), min_size=1, max_size=5))
    door = Door(limit, per)
    door.let_in(arrivals, late)
    assert len(door.begun) == len(arrivals)
    assert door.most() <= limit


@given(st.data(), LIMITS, PERIODS)
def test_whoever_comes_whenever_no_span_sees_more_than_the_limit(
    data: st.DataObject, limit: int, per: int
) -> None:
    """Nobody keeps to what he is told."""
    steps = st.lists(st.integers(0, per), min_size=1, max_size=120)
    dispatched = data.draw(st.integers(NOW - per, NOW + per))
    now, door = NOW, Door(limit, per)
    for step in data.draw(steps):
        now += step
        door.ask(now, dispatched)
    assert door.most() <= limit


@given(st.data(), LIMITS)
def test_clocks_that_differ_count_from_the_one_that_is_ahead(
    data: st.DataObject, limit: int
) -> None:
    per, now, door = 10 * SECOND, NOW, Door(limit, 10 * SECOND)
    for step, behind in data.draw(
        st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(0, SECOND // 2)), max_size=80)
    ):
        now += step
        door.turns, delay = begin(door.turns, now - behind, NOW, limit=limit, per=per)
        if delay == 0:
            door.begun.append(now - behind)
    if door.begun:
        real = Door(limit, per - SECOND // 2)  # by the true clock a span may seem shorter by that
        real.begun = door.begun
        assert real.most() <= limit


@given(LIMITS, st.integers(2, 500), PERIODS)
def test_a_crowd_comes_back_one_by_one_and_not_all_at_once(
    limit: int, crowd: int, per: int
) -> None:
    door = Door(limit, per)
    door.let_in([NOW] * crowd, [0])
    assert door.asked <= 2 * crowd, "each is told once when to come"
    last, width = max(door.begun), max(1, per // SLICES)
    turns = -(-crowd // limit)
    assert last - NOW <= (turns + 1) * (per + 3 * width) + crowd, "and nearly as fast as allowed"


def test_who_comes_new_does_not_overtake_those_who_wait() -> None:
    door = Door(1, 10 * SECOND)
    assert door.ask(NOW) == 0
    first = door.ask(NOW + 1, NOW + 1)
    assert first > 0
    turn = NOW + 1 + first
    assert door.ask(turn - 1, turn - 1) > 0, "there is no room yet"
    assert door.ask(turn, turn) > 0, "there is, for who waited"
    assert door.ask(turn + 1000, NOW + 1) == 0


def test_turns_that_nobody_takes_hold_nobody_up_for_long() -> None:
    door = Door(10, SECOND)
    for n in range(500):
        door.ask(NOW, NOW + n)  # 490 wait, and are cancelled
    now = NOW + 8 * SECOND
    assert door.ask(now, now) == 0
    assert [door.ask(now, now) for _ in range(9)] == [0] * 9


def test_a_clock_that_was_put_back_holds_nobody_up_for_long() -> None:
    door = Door(2, SECOND)
    ahead = NOW + 86_400 * SECOND
    assert [door.ask(ahead), door.ask(ahead), door.ask(ahead) > 0] == [0, 0, True]
    assert 0 < door.ask(NOW) <= 2 * SECOND, "the two count as begun just now"
    assert door.ask(NOW + 2 * SECOND) == 0


def test_what_is_kept_stays_small() -> None:
    door = Door(1_000_000, 3600 * SECOND)
    for n in range(3_000):
        assert door.ask(NOW + n * 3600 * SECOND // 3_000) == 0
    assert door.turns is not None
    assert len(door.turns.begun) <= SLICES + 1
