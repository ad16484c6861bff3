"""The decisions together with what follows from them: fleets whose queues flow, hours of them."""

from __future__ import annotations

from math import ceil

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scripts.simulated_day import LOOK, Fleet, Queue
from tabur.model.scaling import LONG_SERVICE, Limits
from tabur.worker.balancing.balancer import Balancer
from tabur.worker.balancing.flow import LOOKS

MINUTE = int(60 / LOOK)


def fleet(*queues: Queue, most: int = 20) -> Fleet:
    limits = {queue.name: Limits(1, most) for queue in queues}
    return Fleet(list(queues), Balancer(limits, total=most, target=60.0))


def changes(of: Fleet, looks: int, *, begin: int = 0) -> int:
    return sum(of.look(n * LOOK) for n in range(begin, begin + looks))


# The same examples in each run: of jobs that last minutes, one more or less at the wrong moment
# keeps a process, and no bound that is worth asserting holds for the last in a hundred thousand.
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    load=st.floats(0.05, 12.0),
    service=st.floats(0.005, 300.0),
    slots=st.sampled_from([1, 2, 10, 100]),
    backlog=st.floats(0, 30),
)
@example(load=1.0, service=3.0625, slots=2, backlog=0.0)  # just one, to the last digit
def test_under_a_steady_load_it_comes_to_rest_with_what_is_needed(
    load: float, service: float, slots: int, backlog: float
) -> None:
    """`load`: processes that the arrivals keep busy; `backlog`: minutes of one process.

    Where it is a whole number but for what one job more or less makes in the looks that are
    remembered, a process may come and go: at most once in a cooldown.
    """
    rate = load * slots / service
    waiting = backlog * 60 * slots / service
    queue = Queue("mail", lambda now: rate, service, slots, waiting=waiting)
    busy = fleet(queue)
    settled = 30 * MINUTE + int(20 * service / LOOK)
    changes(busy, settled)
    one_job = service / slots / (LOOK * (LOOKS - 1)) if service <= LONG_SERVICE else 0.0
    is_whole = ceil(load - one_job - 1e-9) != ceil(load + one_job)
    assert changes(busy, 10 * MINUTE, begin=settled) <= (2 * 10 * 60 / 30 if is_whole else 0)
    assert load <= queue.processes + max(0.05, one_job)
    assert queue.processes <= load + 2
    assert queue.waiting * service / slots / queue.processes <= 61


def test_a_burst_is_worked_off_near_its_target_and_the_processes_go_again() -> None:
    queue = Queue("mail", lambda now: 5.0, service=0.2, slots=10)
    other = Queue("sms", lambda now: 5.0, service=0.2, slots=10)
    busy = fleet(queue, other)
    changes(busy, 10 * MINUTE)
    assert (queue.processes, other.processes) == (1, 1)
    queue.waiting += 24_000  # eight minutes of one process
    begin = 10 * MINUTE
    looks = 0
    most = 1
    while queue.waiting > 100:
        busy.look((begin + looks) * LOOK)
        most = max(most, queue.processes)
        looks += 1
    assert looks * LOOK <= 90
    assert 7 <= most <= 12
    assert other.processes == 1
    changes(busy, 10 * MINUTE, begin=begin + looks)
    assert queue.processes == 1


def test_two_floods_share_what_there_is_by_their_work() -> None:
    mails = Queue("mail", lambda now: 200.0, service=1.0, slots=10)
    calls = Queue("sms", lambda now: 100.0, service=1.0, slots=10)
    busy = fleet(mails, calls, most=12)
    changes(busy, 20 * MINUTE)
    assert (mails.processes, calls.processes) == (8, 4)
    assert changes(busy, 20 * MINUTE, begin=20 * MINUTE) <= 2
