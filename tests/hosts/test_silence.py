"""Nobody hangs on a connection that has died without a word."""

from __future__ import annotations

import time
from collections.abc import Callable

from servers.hosts import Host
from tabur.config import Settings
from tabur.model.outcome import Ending
from tests.hosts.fleet import LONG, LOST, Fleet

MakeHost = Callable[..., Host]

#: Dispatches until it is told that the store cannot be reached, and then until it can.
DISPATCHER = """
from tabur.errors import StoreUnavailable
short(number=0).dispatch()
print("ready", flush=True)
number = 1
while True:
    began = time.monotonic()
    try:
        short(number=number).dispatch()
    except StoreUnavailable:
        print("unavailable", time.monotonic() - began, flush=True)
        number += 1
        break
    time.sleep(0.01)
    number += 1
while True:
    began = time.monotonic()
    try:
        short(number=number).dispatch()
        break
    except StoreUnavailable:
        number += 1
print("back", time.monotonic() - began, flush=True)
"""


def test_a_dispatcher_is_told_and_goes_on_when_the_silence_is_over(
    fleet: Fleet, make_host: MakeHost
) -> None:
    web = make_host("web")
    dispatcher = fleet.begin(web, DISPATCHER)
    fleet.told(dispatcher, "ready")
    silence = Settings(beat=0.3, lost=LOST).silence
    web.swallow()
    (waited,) = fleet.told(dispatcher, "unavailable")
    # The dead connection, and one try to make another.
    assert float(waited) < 5 * (2 * silence)
    web.mend()
    (waited,) = fleet.told(dispatcher, "back")
    assert float(waited) < 5 * (2 * silence)
    assert dispatcher.wait() == 0


def test_a_worker_leaves_dead_connections_and_its_jobs_do_not_notice(
    fleet: Fleet, make_host: MakeHost
) -> None:
    """As when a firewall forgets them: others can be made at once."""
    here, web = make_host("here"), make_host("web")
    # Its jobs are ended after 8 s without a beat; a connection is given up after 4.
    fleet.worker(here, lost=12.0)
    fleet.run(web, LONG)
    fleet.marked("start", 3)
    began = time.monotonic()
    here.renumber()
    fleet.beats(here, 3)
    fleet.run(web, "short(number=3).dispatch()")
    fleet.marked("end", 1)
    assert time.monotonic() - began < 5 * 4
    fleet.finish()
    fleet.completed(4)
    assert fleet.attempts() == [[Ending.COMPLETED]] * 4
