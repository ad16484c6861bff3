"""Hosts whose clocks are an hour apart: nobody is taken for lost, and times are the store's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from servers.hosts import Host
from tabur.drivers.contract import Filter
from tabur.model.clock import SECOND, now_us
from tabur.model.outcome import Ending
from tests.hosts.fleet import Fleet

MakeHost = Callable[..., Host]

HOUR = 3600.0
#: Seconds.
DELAY = 2.0

DISPATCHER = """
number = 0
while not told_to_finish():
    jobs.dispatch_many(short(number=number + n) for n in range(10))
    number += 10
    time.sleep(0.2)
print("dispatched", number)
"""
DELAYED = f"""
print("dispatched", time.monotonic(), flush=True)
short.options(delay={DELAY}).dispatch(number=0)
twice(number=1).dispatch()
short.options(expires=60).dispatch(number=2)
in_process.options(expires=60).dispatch(number=3)
"""


def test_jobs_run_once_each_on_both_hosts(fleet: Fleet, make_host: MakeHost) -> None:
    ahead, behind = make_host("ahead", clock=HOUR), make_host("behind", clock=-HOUR)
    web = make_host("web", clock=HOUR / 2)
    workers = [fleet.worker(host, "--concurrency=2") for host in (ahead, behind)]
    dispatcher = fleet.begin(web, DISPATCHER)
    for host in (ahead, behind):
        fleet.marked("end", 10, host=host)
    fleet.finish()
    (count,) = fleet.told(dispatcher, "dispatched")
    fleet.completed(int(count))
    assert sorted(mark.number for mark in fleet.marks("end")) == list(range(int(count)))
    assert not any("lost" in worker.output for worker in workers)


@pytest.mark.parametrize("clock", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_spans_are_counted_by_the_clock_of_the_store(
    fleet: Fleet, make_host: MakeHost, clock: float
) -> None:
    """Whatever the clock of the host that dispatched says, and that of the one that runs it."""
    web, works = make_host("web", clock=clock), make_host("works", clock=-clock)
    fleet.worker(works)
    dispatched = float(fleet.told(fleet.begin(web, DELAYED), "dispatched")[0])
    fleet.finish()
    fleet.completed(4)
    (delayed,) = fleet.marks("start", number=0)
    assert dispatched + DELAY <= delayed.at < dispatched + 5 * DELAY
    first, second = fleet.marks("start", number=1)
    assert first.at + 1.0 <= second.at < first.at + 5.0
    assert max(fleet.attempts(), key=len) == [Ending.RETRIED, Ending.COMPLETED]
    moments = [
        moment
        for job in fleet.driver.inspection.list(Filter(), limit=10)
        for moment in (job.created_at, job.started_at, job.ended_at)
    ]
    assert all(abs(moment - now_us()) < 60 * SECOND for moment in moments if moment)
