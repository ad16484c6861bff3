"""What arrives on a queue and how long a job takes, from the counters of its processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from tabur.model.records import Pace
from tabur.model.scaling import weight

#: Looks by which arrivals are told. The fullest of them is left out: a thousand jobs dispatched at
#: once are a backlog, and no rate.
LOOKS = 10
#: Jobs that the mean of their duration remembers.
SERVICE_MEMORY = 50.0


class Meter(msgspec.Struct, frozen=True):
    """What a process has done since its start. `busy`: seconds that the ended jobs ran, summed."""

    started: int = 0
    ended: int = 0
    busy: float = 0.0


class Flow:
    """One queue, looked at now and then.

    What arrived is what was started and what the backlog grew by. Of several supervisors each knows
    what it has started itself, and takes its share of what the backlog grew by. Where the backlog
    was not counted to its end, nothing is learned of it: it asks for the maximum anyway.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=LOOKS)
        """What arrived in each of the last looks, and in how many seconds."""
        self._service: float | None = None
        self._meters: Mapping[str, Meter] = {}
        self._pending: int | None = None
        self._looked: float | None = None
        self.running = 0
        self._quiet_since: float | None = None
        """Since when jobs run and none has ended."""

    @property
    def arrivals(self) -> float:
        """Jobs a second; below zero where a backlog goes that others work off."""
        looks = sorted(self._seen, key=lambda look: look[0] / look[1])[:-1]
        mean = sum(count for count, _ in looks) / sum(span for _, span in looks) if looks else 0.0
        if self._quiet > (self._service or 0.0):
            # So long as none ends, no more can be at work than those that run.
            return min(mean, self.running / self._quiet)
        return mean

    @property
    def service(self) -> float | None:
        """Mean seconds that a job runs; None before anything is known.

        While none ends, they last at least as long as that: ten reports that take ten minutes are
        not taken for ten mails until the first one is done.
        """
        return self._quiet if self._quiet > (self._service or 0.0) else self._service

    def look(
        self,
        meters: Mapping[str, Meter],
        pending: int,
        *,
        now: float,
        counted: bool = True,
        shared_by: int = 1,
    ) -> None:
        """`meters` by worker; who is not among them has ended, who is new began at zero. `now` in
        seconds, monotonic; `counted`: `pending` is all that waits; `shared_by`: supervisors."""
        before = [self._meters.get(worker, _NOTHING) for worker in meters]
        since = [_since(each, past) for each, past in zip(meters.values(), before, strict=True)]
        self._meters = dict(meters)
        self._learn(sum(each.ended for each in since), sum(each.busy for each in since))
        known = counted and self._pending is not None
        if self._looked is not None and now > self._looked and known:
            grown = pending - (self._pending or 0)
            arrived = sum(each.started for each in since) + grown / shared_by
            self._seen.append((arrived, now - self._looked))
        self.running = sum(each.started - each.ended for each in meters.values())
        if self.running <= 0 or any(each.ended for each in since):
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        self._pending, self._looked = pending if counted else None, now

    def _learn(self, ended: int, busy: float) -> None:
        if ended <= 0:
            return
        each = max(0.0, busy) / ended
        known = each if self._service is None else self._service
        self._service = known + (each - known) * weight(ended, SERVICE_MEMORY)

    @property
    def _quiet(self) -> float:
        if self._quiet_since is None or self._looked is None:
            return 0.0
        return self._looked - self._quiet_since


class Paces:
    """How fast each process of a supervisor is, one by one."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}

    def look(self, meters: Mapping[str, Meter], *, now: float) -> dict[str, Pace]:
        """By worker. What comes to it is what it starts: of the backlog it knows nothing."""
        self._flows = {worker: self._flows.get(worker) or Flow() for worker in meters}
        for worker, flow in self._flows.items():
            flow.look({worker: meters[worker]}, 0, now=now)
        return {
            worker: pace(flow.arrivals, flow.service, flow.running)
            for worker, flow in self._flows.items()
        }


def pace(rate: float, service: float | None, running: int) -> Pace:
    """Rounded, so that one that hardly changes need not be told again."""
    told = None if service is None else _rounded(service)
    return Pace(_rounded(max(0.0, rate)), told, running)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}") if value >= 0.001 else 0.0


def _since(now: Meter, before: Meter) -> Meter:
    return Meter(now.started - before.started, now.ended - before.ended, now.busy - before.busy)


_NOTHING = Meter()
