"""An hour of ticks in four minutes: three real schedulers whose clock is set on and on, killed at
random, through an hour that New York has twice. (A server has the machine's clock, by which ticks
are judged there; a file has that of who opens it.)"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import pytest

from servers.clock import PROGRAM, Clock
from tabur.model.clock import SECOND, moment_us
from tabur.model.schedules import Decision
from tabur.model.timing import parse_timing, times_of
from tests.stores import places
from tests.worker.workshop import make_workshop, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: Seconds of the clock in one, and seconds between two settings of it.
SPEED, PAUSE = 20, 0.25
BEGIN = datetime(2027, 11, 7, 5, 28, tzinfo=UTC)  # 1:28 in New York, for the first time
HOUR = 3600.0
SCHEDULES = {
    "baghdad": ("* * * * *", "Asia/Baghdad"),
    "casablanca": ("*/7 * * * *", "Africa/Casablanca"),
    "half": ("every 30 seconds", "UTC"),
    "howe": ("*/10 * * * *", "Australia/Lord_Howe"),
    "once": ("45 1 * * *", "America/New_York"),
    "york": ("* * * * *", "America/New_York"),
}
JOBS = f"""
import os
from tabur import JobContext, Tabur

jobs = Tabur.from_env()


@jobs.job()
def note(ctx: JobContext, name: str) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{{name}} {{ctx.job_id}}\\n")


for name, (cron, zone) in {SCHEDULES!r}.items():
    entry = jobs.schedule.job(note(name=name)).cron(cron, timezone=zone)
    entry.missed("all", limit=1000).name(name)
"""


def test_each_tick_is_decided_once(
    require: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(PROGRAM)
    clock = Clock(tmp_path / "clock", ahead=BEGIN.timestamp() - time.time())
    theirs = clock.environment({"PYTHONPATH": os.environ.get("PYTHONPATH", "")})
    store = places.sqlite(tmp_path)
    for variable, value in store.items():
        monkeypatch.setenv(variable, value)
    shop = make_workshop(tmp_path, JOBS, monkeypatch, store)
    shop.environment.update(theirs)
    try:
        shop.load()
        schedules = shop.jobs.driver.schedules
        working = [shop.worker(command="schedule:work") for _ in range(3)]
        until(lambda: schedules.find("york"))
        chance = random.Random(7)
        passed, killed, next_kill = 0.0, 0, 3.0
        while passed < HOUR:
            time.sleep(PAUSE)
            clock.step((SPEED - 1) * PAUSE)
            passed += SPEED * PAUSE
            if passed / SPEED > next_kill:
                next_kill += chance.uniform(1.0, 5.0)
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
        shop.work()

        assert killed > 30
        assert "Traceback" not in "".join(each.output for each in shop.workers)
        for name, (cron, zone) in SCHEDULES.items():
            found = list(reversed(schedules.ticks(name, limit=1000)))
            times = [tick.due_at for tick in found]
            upcoming = times_of(parse_timing(cron, zone)).upcoming(moment_us(BEGIN))
            expected = list(takewhile(times[-1].__ge__, upcoming))
            # The first schedulers had begun a little after that moment.
            assert times == expected[-len(times) :]
            assert len(expected) - len(times) <= 2
            assert {tick.decision for tick in found} == {Decision.DISPATCHED}
            ran = shop.ledger(f"{name} ")
            assert len(ran) == len(set(ran)) == len(found), name
        york = schedules.ticks("york", limit=1000)
        assert york[0].due_at - york[-1].due_at > (HOUR - 300) * SECOND
        assert len(schedules.ticks("once", limit=10)) == 1, "1:45 comes twice, and it runs once"
    finally:
        shop.close()
