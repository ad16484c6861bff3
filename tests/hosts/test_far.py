"""A host from which each packet takes a tenth of a second to the store, and each answer back."""

from __future__ import annotations

from collections.abc import Callable

from servers.hosts import Host
from tests.hosts.fleet import Fleet

MakeHost = Callable[..., Host]

#: Seconds each way.
DELAY = 0.1
WAIT = 2.0
#: Seconds. To connect takes a dozen round trips, and a claim answered too late is let go.
LOST = 15.0

CLOCK = """
for _ in range(3):
    print("off by", jobs.driver.now() / 1e6 - time.time())
"""
DISPATCHER = f"""
jobs.driver.now()
print("dispatched", time.monotonic(), flush=True)
short.options(delay={WAIT}).dispatch(number=0)
jobs.dispatch_many(short(number=n) for n in range(1, 100))
"""


def test_its_idea_of_the_stores_clock_is_off_by_no_more_than_half_a_round_trip(
    fleet: Fleet, make_host: MakeHost
) -> None:
    said = fleet.run(make_host("far", delay=DELAY), CLOCK)
    differences = [float(line.split()[-1]) for line in said.splitlines()]
    assert len(differences) == 3
    assert all(abs(each) <= DELAY for each in differences)


def test_jobs_run_there_and_at_their_time(fleet: Fleet, make_host: MakeHost) -> None:
    far, near = make_host("far", delay=DELAY), make_host("near")
    worker = fleet.worker(far, lost=LOST)
    dispatched = float(fleet.told(fleet.begin(near, DISPATCHER), "dispatched")[0])
    fleet.completed(100)
    assert all(len(endings) == 1 for endings in fleet.attempts())
    (start,) = fleet.marks("start", number=0)
    assert dispatched + WAIT - DELAY <= start.at < dispatched + 5 * WAIT
    assert "does not answer" not in worker.output
    assert "lost" not in worker.output
