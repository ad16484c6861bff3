"""What schedulers leave in a store beside the schedules: that they are well."""

from __future__ import annotations

import msgspec

BEATS = "scheduler/"
INTERRUPT = "schedules/interrupt"
"""A note whose revision changes when the schedulers of now are to end."""


class SchedulerBeat(msgspec.Struct, frozen=True):
    """The note `scheduler/<id>` of one scheduler. `at`: the store's now, in microseconds; `every`:
    seconds until the next one; `kind`: `work`, or `run` for what crontab calls."""

    id: str
    kind: str
    host: str
    pid: int
    at: int
    every: float
    version: str = ""


def read_beat(value: bytes) -> SchedulerBeat | None:
    """None for what cannot be read."""
    try:
        return msgspec.json.decode(value, type=SchedulerBeat)
    except (msgspec.DecodeError, ValueError):
        return None
