"""Debian's own cron across changes of the clock, by libfaketime: how often it starts what this
package says. It runs with tables of its own, in a mount namespace of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from servers.clock import PROGRAM
from servers.find import binary
from tabur.model.clock import moment_us
from tabur.model.timing import parse_timing, times_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: Virtual seconds in one.
SPEED = 60
START = """
mount --bind {place}/empty /etc/cron.d
mount --bind {place}/empty /var/spool/cron/crontabs
mount --bind {place}/crontab /etc/crontab
mount -t tmpfs tmpfs /run
exec env TZ={zone} LD_PRELOAD={faketime} FAKETIME='@{begin} x{speed}' {cron} -f
"""


@pytest.fixture(autouse=True)
def _can_be_run(require: Callable[..., None]) -> None:
    require("cron", PROGRAM, "unshare")
    if os.geteuid() != 0:
        pytest.skip("cron runs as root")


@pytest.mark.parametrize(
    ("begin", "minutes", "lines"),
    [
        (  # 02:00 → 03:00: 01:55 EST to 03:37 EDT
            *("2026-03-08 01:55:20", 42),
            ["30 2 * * *", "*/30 2 * * *", "5 3 * * *", "*/10 3 * * *", "58 1 * * *"],
        ),
        (  # 02:00 → 01:00: 00:50 EDT to 02:10 EST
            *("2026-11-01 00:50:20", 140),
            ["30 1 * * *", "*/30 1 * * *", "0 1 * * *", "5 2 * * *", "15 * * * *"],
        ),
    ],
)
def test_it_starts_them_as_often(
    tmp_path: Path, begin: str, minutes: int, lines: list[str]
) -> None:
    zone = "America/New_York"
    (tmp_path / "empty").mkdir()
    ran = tmp_path / "ran.txt"
    ran.touch()
    crontab = tmp_path / "crontab"
    crontab.write_text(
        "".join(f"{line} root echo '{n}' >> {ran}\n" for n, line in enumerate(lines)), "utf-8"
    )
    started = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone))
    library = binary(PROGRAM).with_name("libfaketime.so.1")  # cron has no threads
    script = START.format(
        place=tmp_path, zone=zone, faketime=library, begin=begin, speed=SPEED, cron=binary("cron")
    )
    process = subprocess.Popen(["unshare", "-m", "sh", "-ec", script], start_new_session=True)
    try:
        time.sleep(minutes * 60 / SPEED)
        assert process.poll() is None
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    counted = Counter(ran.read_text("utf-8").split())
    first = moment_us(started)
    last = first + minutes * 60 * 1_000_000
    for n, line in enumerate(lines):
        upcoming = times_of(parse_timing(line, zone)).upcoming(first)
        expected = len(list(takewhile(lambda at: at < last - 60_000_000, upcoming)))
        assert counted[str(n)] == expected, line
