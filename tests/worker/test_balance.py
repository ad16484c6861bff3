"""Which queue gets a process more and which one gives one up, on a clock of its own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.model.scaling import Level, Limits
from tabur.worker.balancing.balancer import Balancer, Plan
from tests.model.test_scaling import fleets


class Fleet:
    """Processes that start and end as they are told to, at once."""

    def __init__(self, limits: Mapping[str, Limits], **options: float) -> None:
        self.total = int(options.pop("total", 10))
        self.balancer = Balancer(limits, total=self.total, target=60.0, **options)  # type: ignore[arg-type]  # max_shift is whole
        self.running = {queue: each.minimum for queue, each in limits.items()}
        self.now = 1_000.0

    def look(self, *levels: Level, after: float = 1.0, ending: int = 0) -> list[str]:
        """The explanations of what was changed."""
        self.now += after
        plan = self.balancer.decide(levels, self.running, ending=ending, now=self.now)
        self.obey(plan)
        return [str(each) for each in plan.changes]

    def obey(self, plan: Plan) -> None:
        for change in plan.changes:
            assert change.before == self.running[change.queue]
            self.running[change.queue] = change.after


def waiting(queue: str, processes: float) -> Level:
    """A queue whose backlog wants so many processes."""
    return Level(queue, int(processes * 60), service=1.0, slots=1)


# up and down


def test_up_at_once_and_told_in_a_line() -> None:
    fleet = Fleet({"mail": Limits(2, 10)})
    level = Level("mail", 1_240, arrivals=38.2, service=0.12, slots=2)
    assert fleet.look(level) == [
        "mail: 2 → 4 processes: 1,240 waiting, 38/s arriving, 120 ms each; at most 60 s wanted"
    ]
    assert fleet.look(level) == []


def test_down_one_by_one_each_after_its_time() -> None:
    fleet = Fleet({"mail": Limits(1, 10)})
    fleet.look(waiting("mail", 4))
    ends = [second for second in range(120) if fleet.look(waiting("mail", 0))]
    assert fleet.running == {"mail": 1}
    assert ends == [30, 60, 90]


def test_who_wants_more_meanwhile_keeps_what_it_has() -> None:
    fleet = Fleet({"mail": Limits(1, 10)})
    fleet.look(waiting("mail", 4))
    for second in range(200):
        fleet.look(waiting("mail", 4 if second % 20 == 0 else 1))
    assert fleet.running == {"mail": 4}


def test_why_one_goes_is_told() -> None:
    fleet = Fleet({"mail": Limits(1, 10)})
    fleet.look(waiting("mail", 3))
    fleet.look(waiting("mail", 1))
    assert fleet.look(waiting("mail", 1), after=30) == [
        "mail: 3 → 2 processes: 60 waiting, none arriving, 1.0 s each; 1 has been enough for 30 s"
    ]


def test_a_bound_that_was_met_is_told() -> None:
    fleet = Fleet({"mail": Limits(1, 4), "sms": Limits(1, 9)}, total=7)
    assert fleet.look(waiting("mail", 30), waiting("sms", 1)) == [
        "mail: 1 → 4 processes: 1,800 waiting, none arriving, 1.0 s each; 30 would do, 4 at most"
    ]
    assert fleet.look(waiting("mail", 4), waiting("sms", 30), after=6) == [
        f"sms: 1 → 3 processes: {waiting('sms', 30)}; 30 would do, 7 at most in all"
    ]


def test_so_many_are_started_at_once_as_may() -> None:
    fleet = Fleet({"mail": Limits(1, 10)}, max_shift=3)
    steps = [fleet.look(waiting("mail", 9)) and fleet.running["mail"] for _ in range(4)]
    assert steps == [4, 7, 9, []]


# room


def test_a_process_that_another_queue_waits_for_goes_sooner() -> None:
    fleet = Fleet({"a": Limits(1, 10), "b": Limits(1, 10)}, total=10)
    fleet.look(waiting("a", 9), waiting("b", 1))
    assert fleet.running == {"a": 9, "b": 1}
    late = waiting("a", 1), waiting("b", 9)
    assert fleet.look(*late) == []
    assert fleet.look(*late, after=5) == [
        "a: 9 → 1 process: 60 waiting, none arriving, 1.0 s each; another queue needs more"
    ]
    assert fleet.look(*late, ending=8) == []  # they have not ended yet, and take room
    fleet.look(*late, ending=3)
    assert fleet.running == {"a": 1, "b": 6}
    fleet.look(*late)
    assert fleet.running == {"a": 1, "b": 9}


def test_what_ends_already_makes_room_and_no_more_is_asked_for() -> None:
    fleet = Fleet({"a": Limits(1, 10), "b": Limits(1, 10)}, total=10)
    fleet.look(waiting("a", 8), waiting("b", 2))
    assert fleet.look(waiting("a", 4), waiting("b", 4), ending=0) == []
    fleet.running["a"] = 6
    assert fleet.look(waiting("a", 4), waiting("b", 4), ending=2, after=10) == []


def test_minimums_above_the_total_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 are allowed"):
        Balancer({"a": Limits(3, 5), "b": Limits(3, 5)}, total=4, target=60)


# whatever comes

steps = st.lists(st.tuples(st.floats(0, 60), st.integers(0, 10**5), st.integers(0, 4)), max_size=30)


@given(fleet=fleets(), moves=steps, ending=st.integers(0, 5))
def test_there_are_never_more_than_the_total_nor_fewer_than_the_minimum(
    fleet: tuple[list[Level], dict[str, Limits], int],
    moves: list[tuple[float, int, int]],
    ending: int,
) -> None:
    levels, limits, total = fleet
    obedient = Fleet(limits, total=total)
    for after, pending, which in moves:
        n = which % len(levels)
        levels[n] = replace(levels[n], pending=pending)
        before = sum(obedient.running.values())
        obedient.look(*levels, after=after, ending=ending)
        now = sum(obedient.running.values())
        assert now <= max(total, before)
        assert now <= before or now + ending <= total
        for queue, count in obedient.running.items():
            assert limits[queue].minimum <= count <= limits[queue].maximum


@given(fleet=fleets(), before=fleets())
def test_with_unchanging_queues_it_comes_to_rest(
    fleet: tuple[list[Level], dict[str, Limits], int],
    before: tuple[list[Level], dict[str, Limits], int],
) -> None:
    levels, limits, total = fleet
    obedient = Fleet(limits, total=total)
    others = {each.queue: each for each in before[0]}
    obedient.look(*(others.get(each.queue, each) for each in levels))
    changes = [len(obedient.look(*levels, after=5.0)) for _ in range(6 * 60)]
    plan = obedient.balancer.decide(levels, obedient.running, now=obedient.now)
    assert obedient.running == plan.wanted
    surplus = sum(limits[each.queue].maximum for each in levels)
    assert not any(changes[6 * surplus + 6 :])
