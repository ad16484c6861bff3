"""A wall clock of a program's own: ahead of this machine's, behind it, or set while it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from servers.find import binary

#: What a program with a clock of its own needs.
PROGRAM = "libfaketime"
#: Seconds after which a clock that was set is seen: looking each time would cost more than all
#: else.
SEEN = 1
#: Python ≥ 3.11 sleeps by clock_nanosleep() with a monotonic moment, which libfaketime (0.9.10)
#: takes for a wrong one.
_SLEEP = """\
import select, time
def _sleep(seconds):
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        select.select([], [], [], left)
time.sleep = _sleep
"""


class Clock:
    """Of all programs that are started in its environment; `ahead` of this machine's by so many
    seconds. Its files are kept in `place`."""

    def __init__(self, place: Path, *, ahead: float = 0.0) -> None:
        self._place = place
        place.mkdir(exist_ok=True)
        (place / "sitecustomize.py").write_text(_SLEEP)
        self._set(ahead)

    def step(self, seconds: float) -> None:
        """Set it forward, or back; seen within `SEEN` seconds."""
        self._set(self._ahead + seconds)

    def _set(self, ahead: float) -> None:
        self._ahead = ahead
        beside = self._place / "clock.new"
        beside.write_text(f"{ahead:+f}\n", "ascii")
        beside.replace(self._place / "clock")

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """`given`, for a program that goes by this clock. Only the wall clock is another: by the
        monotonic one tests compare what programs did. Raises Missing."""
        paths = [str(self._place), *filter(None, [given.get("PYTHONPATH")])]
        return {
            **given,
            "LD_PRELOAD": str(binary(PROGRAM)),
            "FAKETIME_TIMESTAMP_FILE": str(self._place / "clock"),
            "FAKETIME_CACHE_DURATION": str(SEEN),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",  # files are shared: Python would compile all modules anew
            "PYTHONPATH": os.pathsep.join(paths),
        }
