"""A host that is cut off ends its jobs before others run them, and works again by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from servers.hosts import Host
from tabur.model.outcome import Ending
from tests.hosts.fleet import BEAT, CEILING, LONG, LOST, Fleet, until

MakeHost = Callable[..., Host]
#: Seconds after which PostgreSQL gives a client up that says nothing, at the soonest.
SILENT = 10.0


@pytest.mark.parametrize("how", ["cut", "swallow"])
def test_its_jobs_run_elsewhere_once_they_have_ended_there(
    fleet: Fleet, make_host: MakeHost, how: str
) -> None:
    here, there = make_host("here"), make_host("there")
    worker = fleet.worker(here)
    fleet.run(there, LONG)
    fleet.marked("start", 3, host=here)
    other = fleet.worker(there)

    cut_off = time.monotonic()
    getattr(here, how)()
    # What has crashed runs in processes of their own, of which a child may have two.
    starts = fleet.marked("start", 2, host=there)
    assert starts[-1].at - cut_off < 5 * (LOST + 2 * BEAT)
    assert not fleet.overlaps()
    before = fleet.workers(here)
    here.mend()
    # It comes back while its jobs run elsewhere, and takes nothing away.
    until(lambda: set(fleet.workers(here)) - set(before), fleet.logs)
    fleet.finish()
    fleet.completed(3)
    assert fleet.attempts() == [[Ending.CRASHED, Ending.COMPLETED]] * 3
    assert not fleet.overlaps()

    other.signal(signal.SIGTERM)
    assert other.wait(CEILING) == 0
    fleet.run(there, "short(number=3).dispatch()")
    fleet.completed(4)
    (end,) = fleet.marks("end", number=3)
    assert end.host == here.name
    assert not worker.has_left


@pytest.mark.parametrize("server", ["postgres", "mariadb"], indirect=True)
def test_one_that_was_in_its_transaction_keeps_no_other_waiting(
    fleet: Fleet, make_host: MakeHost
) -> None:
    """Its rows are locked until the server knows that the host is gone: PostgreSQL asks it after 10
    s of silence, and gives it up 3 s later."""
    here, there = make_host("here"), make_host("there")
    fleet.worker(here)
    fleet.run(there, "in_transaction(number=0).dispatch()" + LONG.replace("number=", "number=1 + "))
    (locked,) = fleet.marked("locked", 1)
    fleet.marked("start", 4)
    fleet.worker(there)
    here.swallow()
    starts = fleet.marked("start", 2, host=there)
    for mark in starts:  # none while its rows are locked, however late the others are
        assert mark.number != 0 or mark.at - locked.at > SILENT, fleet.story()
    assert any(mark.number != 0 for mark in starts)
    if fleet.is_mariadb:  # it does not ask its clients by itself
        here.mend()
    fleet.finish()
    fleet.completed(4)
    # It is not to blame, where its own supervisor gives it back.
    assert fleet.attempts().count([Ending.CRASHED, Ending.COMPLETED]) >= 3
    assert not fleet.overlaps()


def test_a_short_silence_costs_nothing(fleet: Fleet, make_host: MakeHost) -> None:
    here, web = make_host("here"), make_host("web")
    fleet.worker(here)
    fleet.run(web, LONG)
    fleet.marked("start", 3)
    here.swallow()
    time.sleep(0.5)  # a fault's length, far from that after which its jobs are ended
    here.mend()
    fleet.beats(here, 3)
    fleet.finish()
    fleet.completed(3)
    assert fleet.attempts() == [[Ending.COMPLETED]] * 3
