"""Schedulers as real processes, several at once and killed at random: the same on every store."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from itertools import pairwise

import psutil
import pytest
from msgspec.structs import replace

from tabur.errors import StoreUnavailable
from tabur.model.beats import BEATS
from tabur.model.clock import SECOND
from tabur.model.schedules import Decision, Tick
from tests.worker.workshop import Workshop, until

pytestmark = pytest.mark.timeout(180)

#: Seconds that schedulers run and are killed.
LASTS = 10.0


def ticks(shop: Workshop, name: str) -> list[Tick]:
    """Oldest first."""
    return list(reversed(shop.jobs.driver.schedules.ticks(name, limit=100_000)))


def assert_each_once(shop: Workshop) -> None:
    """Every second from the first tick to the last has one tick, and each ran once."""
    found = ticks(shop, "seconds")
    gaps = [(a.due_at, b.due_at) for a, b in pairwise(found) if b.due_at - a.due_at != SECOND]
    assert gaps == []
    assert {tick.decision for tick in found} == {Decision.DISPATCHED}
    shop.work()
    ran = shop.ledger("second")
    assert len(ran) == len(set(ran)) == len(found)


def test_three_that_are_killed_at_random_decide_each_tick_once(shop: Workshop) -> None:
    working = [shop.worker(command="schedule:work") for _ in range(3)]
    chance = random.Random(5)
    ends = time.monotonic() + LASTS
    killed = 0
    until(lambda: ticks(shop, "seconds"))
    while time.monotonic() < ends:
        time.sleep(chance.uniform(0.2, 0.9))
        n = chance.randrange(3)
        working[n].process.send_signal(signal.SIGKILL)
        working[n].process.wait()
        killed += 1
        working[n] = shop.worker(command="schedule:work")
    until(lambda: all("Watching the schedules" in each.output for each in working))
    for each in working:
        each.stop()
    for each in working:
        each.ended()
    assert killed >= 5
    assert "Traceback" not in "".join(each.output for each in shop.workers)
    assert_each_once(shop)


def test_work_run_and_a_workers_own_beside_each_other(shop: Workshop) -> None:
    """`schedule:work`, `schedule:run` from a crontab, and `queue:work --schedule`, all at once."""
    alone = shop.worker(command="schedule:work")
    worker = shop.worker("--schedule", "--concurrency=2")
    until(lambda: ticks(shop, "seconds"))
    runs = [shop.worker(command="schedule:run") for _ in range(2)]
    until(lambda: len(ticks(shop, "seconds")) >= 8)
    until(lambda: len(shop.ledger("second")) >= 5)
    for each in shop.workers:
        each.stop()
    for each in (alone, worker):
        each.ended()
    for each in runs:  # one that has only begun to load has no handler yet
        assert each.process.wait(30) in (0, -signal.SIGTERM)
    assert "Stopped: SIGTERM" in worker.output
    assert all("Traceback" not in each.output for each in (*runs, worker))
    assert_each_once(shop)
    names = {tick.scheduler for tick in ticks(shop, "seconds")}
    assert 1 <= len(names) <= 4


def test_after_ten_minutes_each_policy_does_what_it_says(shop: Workshop) -> None:
    driver = shop.jobs.driver
    shop.jobs.scheduler(say=print)._loops[0].begin()
    shop.jobs.schedules.pause("seconds")
    minute = driver.now() // (60 * SECOND) * 60 * SECOND
    for name in ("last", "skip", "all"):
        stored = driver.schedules.find(name)
        assert stored is not None
        past = minute - 540 * SECOND
        assert driver.schedules.put([replace(stored, next_run_at=past, revision=2)]) == 1
    assert "Running scheduled command: last" in shop.run("schedule:run")

    def became(name: str) -> list[str]:
        """What the first look made of them, the last of which came with that look's minute."""
        found = ticks(shop, name)
        looked = [tick for tick in found if tick.decided_at == found[0].decided_at]
        assert looked[-1].due_at == found[0].decided_at // (60 * SECOND) * 60 * SECOND
        assert len(looked) >= 10
        return [str(tick.decision) for tick in looked]

    for name, ran in {"last": 1, "skip": 1, "all": 4}.items():
        decisions = became(name)
        assert decisions == ["missed"] * (len(decisions) - ran) + ["dispatched"] * ran
    stored = driver.schedules.find("skip")
    assert stored is not None
    assert stored.next_run_at is not None
    assert stored.next_run_at > minute


def test_an_interrupt_ends_those_of_now_and_a_worker_starts_its_own_again(shop: Workshop) -> None:
    shop.jobs.schedules.delete("seconds")
    alone = shop.worker(command="schedule:work")
    worker = shop.worker("--schedule")

    def beating() -> set[str]:
        return {note.name for note in shop.jobs.driver.notes.read(BEATS)}

    until(lambda: len(beating()) == 2)
    before = beating()
    assert "Broadcasting schedule interrupt" in shop.run("schedule:interrupt")
    alone.ended()
    assert "Interrupt asked for" in alone.output
    until(lambda: len(beating() - before) == 1 and not beating() & before)
    assert "The scheduler ended (exit code 0) and is started again" in worker.output
    worker.stop()
    worker.ended()
    assert beating() == set()  # nobody is to miss those that ended as they should


@pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
def test_a_workers_scheduler_does_not_outlive_it(shop: Workshop) -> None:
    worker = shop.worker("--schedule")

    def scheduler() -> list[psutil.Process]:
        return [
            each
            for each in psutil.Process(worker.process.pid).children()
            if "schedule:work" in each.cmdline()
        ]

    until(scheduler)
    (beside,) = scheduler()
    until(lambda: ticks(shop, "seconds"))
    worker.process.send_signal(signal.SIGKILL)
    worker.process.wait()
    _, alive = psutil.wait_procs([beside], timeout=30)
    assert alive == []


@pytest.mark.parametrize("shop", ["postgres"], indirect=True)
def test_a_store_that_is_away_is_said_once_and_waited_for(
    shop: Workshop, request: pytest.FixtureRequest
) -> None:
    working = shop.worker(command="schedule:work")
    until(lambda: len(ticks(shop, "seconds")) > 1)
    server = request.getfixturevalue("postgres_server")
    server.kill()
    try:
        until(lambda: "Schedules wait for the store" in working.output, working.output)
        time.sleep(2)
    finally:
        server.restart()
    until(lambda: "The store answers again" in working.output, working.output)
    working.stop()
    working.ended()
    with suppress(StoreUnavailable):  # our own connections went with the server
        ticks(shop, "seconds")
    assert working.output.count("Schedules wait for the store") == 1
    assert_each_once(shop)


def test_the_signal_of_a_crontab_ends_it(shop: Workshop) -> None:
    """A host that is shut down does not wait for the minute to end."""
    running = shop.worker(command="schedule:run")
    while not ticks(shop, "seconds"):
        if running.process.poll() is not None:  # its minute was over before it had begun
            running = shop.worker(command="schedule:run")
        time.sleep(0.05)
    running.stop()
    running.ended()
