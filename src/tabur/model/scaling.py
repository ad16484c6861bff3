"""How many processes a queue needs, from what waits, what arrives and how long a job takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, isfinite

import msgspec

from tabur.errors import ConfigError

#: Seconds in which what waits is to be worked off, unless asked otherwise.
TARGET = 60.0
#: Seconds that a job is taken to last before the first one has ended.
UNKNOWN_SERVICE = 1.0
#: Seconds: of jobs that run longer, those that run are counted.
LONG_SERVICE = 20.0
#: Where nothing waits, less than this share of a process is no need: a mean of arrivals never
#: becomes quite zero.
IDLE = 0.05
#: Waiting jobs are counted no further, however many could still make a difference.
MOST_COUNTED = 1_000_000
#: 3 processes that are needed to the last digit are 3, not 4, for the sake of that digit.
_ROUNDING = 1e-9


class Limits(msgspec.Struct, frozen=True):
    """Between how many processes a queue may have."""

    minimum: int = 1
    maximum: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum or self.maximum < 1:
            raise ConfigError(
                f"{self.minimum} to {self.maximum} processes: the minimum must not be above the "
                "maximum, and the maximum is at least 1."
            )


class Level(msgspec.Struct, frozen=True):
    """A queue at one moment, as one supervisor sees it."""

    queue: str
    pending: int
    """Counted no further than `enough`; then `more` is true."""
    more: bool = False
    arrivals: float = 0.0
    """Jobs a second that become pending, as far as this supervisor is to take them."""
    service: float | None = None
    """Mean seconds that a job runs; None: none has ended yet."""
    running: int = 0
    """Jobs that run just now in processes of this supervisor."""
    slots: int = 10
    """Jobs that one process runs at once."""
    shared_by: int = 1
    """Supervisors that work on it: each drains its share of what waits."""
    paused: bool = False

    def __str__(self) -> str:
        """`1,240 waiting, 38/s arriving, 120 ms each`."""
        waiting = f"{self.pending:,}{' or more' if self.more else ''} waiting"
        if self.paused:
            return f"paused, {waiting}"
        shared = f" for {self.shared_by} supervisors" if self.shared_by > 1 else ""
        return f"{waiting}{shared}, {_rate(self.arrivals)} arriving, {_duration(self.service)}"


def need(level: Level, target: float) -> float:
    """Processes, not rounded, that take what arrives and work off what waits in `target` seconds.

    A job that waits needs one slot at most, however long it will run.
    """
    if level.paused:
        return 0.0  # more processes would wait as well
    service = UNKNOWN_SERVICE if level.service is None else level.service
    waiting = level.pending / level.shared_by * min(1.0, service / target)
    return (_at_work(level) + waiting) / level.slots


def _at_work(level: Level) -> float:
    """How many run at once, on average: by Little's law what arrives × how long it runs. Long ones
    are counted as they are, since each that comes would look like a rate."""
    if level.service is None or level.service > LONG_SERVICE:
        return level.running
    return max(0.0, level.arrivals) * level.service


def wanted(level: Level, limits: Limits, target: float) -> int:
    """Processes for one queue within its limits; one at least where something waits, and none,
    where that is allowed, when hardly anything comes."""
    asked = min(need(level, target), float(limits.maximum))
    if level.pending and not level.paused:
        least = max(limits.minimum, 1)
    else:
        least = limits.minimum
        if asked < IDLE:
            return least
    return min(limits.maximum, max(least, ceil(asked - _ROUNDING)))


def share(
    levels: Sequence[Level], limits: Mapping[str, Limits], *, total: int, target: float
) -> dict[str, int]:
    """Processes for each queue, `total` at most in all.

    Each has its minimum. Where not all can have what they want, the others go one by one: first to
    those that have none, then to the queue that would need most for each that it has (the method of
    D'Hondt). So with more waiting a queue never gets fewer; who is listed first wins a draw. Raises
    ConfigError where the minimums alone are more than `total`.
    """
    wants = {each.queue: wanted(each, limits[each.queue], target) for each in levels}
    if sum(wants.values()) <= total:
        return wants
    given = {each.queue: limits[each.queue].minimum for each in levels}
    if sum(given.values()) > total:
        raise ConfigError(
            f"The minimums of these queues are {sum(given.values())} processes together, and "
            f"{total} are allowed in all. Lower the one or raise the other."
        )
    weights = {each.queue: need(each, target) for each in levels}
    for _ in range(total - sum(given.values())):
        short = [queue for queue in given if given[queue] < wants[queue]]
        most = max(short, key=lambda q: (not given[q], weights[q] / (given[q] + 1)))
        given[most] += 1
    return given


def evenly(queues: Sequence[str], total: int) -> dict[str, int]:
    """As many processes for each queue; what is left over goes to the first ones. Raises
    ConfigError where there are more queues than processes."""
    if total < len(queues):
        raise ConfigError(
            f"{total} processes cannot be divided among {len(queues)} queues: each needs one."
        )
    each, over = divmod(total, len(queues))
    return {queue: each + (n < over) for n, queue in enumerate(queues)}


def enough(level: Level, limits: Limits, target: float) -> int:
    """How many waiting jobs are worth counting: with so many the maximum is wanted for certain."""
    service = UNKNOWN_SERVICE if level.service is None else level.service
    if service <= 0:
        return MOST_COUNTED
    most = (limits.maximum + 1) * level.slots * level.shared_by * max(1.0, target / service)
    return max(1_000, min(MOST_COUNTED, ceil(most)))


def weight(span: float, memory: float) -> float:
    """How much a mean that remembers `memory` takes over of what was seen during `span`."""
    return 1.0 - exp(-span / memory)


def _rate(per_second: float) -> str:
    if per_second <= 0 or not isfinite(per_second):
        return "none"
    if per_second < 0.1:
        return f"{per_second * 60:.1f}/min"
    return f"{per_second:,.1f}/s" if per_second < 10 else f"{per_second:,.0f}/s"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "none has ended yet"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms each"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms each"
    return f"{seconds:,.1f} s each" if seconds < 100 else f"{seconds:,.0f} s each"
