"""Balancing at work: looks at the queues every few seconds, and says what it decides.

The looking has a thread of its own, since a store may take its time; the decisions are the
supervisor's, made from what was seen last.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from time import monotonic

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.jobs.definition import JobDefinition
from tabur.model.records import ALL_QUEUES, Pace
from tabur.model.scaling import Level, enough
from tabur.worker.balancing.balancer import Balancer
from tabur.worker.balancing.flow import Flow, Meter, pace
from tabur.worker.options import Balance, WorkOptions

_log = logging.getLogger("tabur.worker")

#: Seconds between two looks at the queues; longer where a look takes more than a twentieth of it,
#: so that counting a million jobs that wait is no load of its own.
LOOK_AT_QUEUES = 2.0
LEAST_REST = 19.0
_FIRST_COUNT = 10_000


class Manned(msgspec.Struct, frozen=True):
    """The processes of one queue: how many there are to be, and what each has done."""

    processes: int
    meters: Mapping[str, Meter]


class Sight(msgspec.Struct, frozen=True):
    """What one look has found, by queue. `at`: seconds of the monotonic clock."""

    at: float
    pending: Mapping[str, int]
    counted: Mapping[str, bool]
    """False: there are more than were counted."""
    sharers: Mapping[str, int]
    """Supervisors that work on it, this one among them."""


class Lookout:
    """Looks at queues. `at_most`: how far it counts in each; whoever decides may change that."""

    def __init__(
        self,
        driver: Driver,
        queues: Collection[str],
        *,
        supervisor: str,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.seen: Sight | None = None
        self.at_most = dict.fromkeys(queues, _FIRST_COUNT)
        self._driver = driver
        self._supervisor = supervisor
        self._clock = clock
        self._over = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._looking, name="tabur-lookout", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def look(self) -> float:
        """One look. Answers the seconds until the next one; raises StoreError."""
        began = self._clock()
        pending: dict[str, int] = {}
        counted: dict[str, bool] = {}
        for queue, most in self.at_most.items():
            pending[queue] = self._driver.inspection.backlog(queue, at_most=most).pending
            counted[queue] = pending[queue] < most
        others: dict[str, set[str]] = {queue: {self._supervisor} for queue in pending}
        for worker in self._driver.workers.list():
            for queue in others.keys() & set(worker.queues):
                others[queue].add(worker.supervisor)
        now = self._clock()
        sharers = {queue: len(each) for queue, each in others.items()}
        self.seen = Sight(now, pending, counted, sharers)
        return max(LOOK_AT_QUEUES, (now - began) * LEAST_REST)

    def _looking(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            try:
                pause = self.look()
            except StoreError as error:
                pause = 2 * LOOK_AT_QUEUES
                _log.warning("The queues could not be looked at, nothing is balanced: %s", error)
            except Exception:
                pause = 2 * LOOK_AT_QUEUES
                _log.exception("The look at the queues failed and is taken again")


class Balancing:
    """What a supervisor asks how many processes each queue is to have. `slots`: how many jobs one
    process runs at once, by queue. Raises ConfigError as `Balancer` does."""

    def __init__(
        self,
        lookout: Lookout,
        options: Balance,
        *,
        slots: Mapping[str, int],
        say: Callable[[str], None],
    ) -> None:
        self.lookout = lookout
        self._options = options
        self._slots = slots
        self._say = say
        self._flows = {queue: Flow() for queue in options.limits}
        self._balancer = Balancer(
            options.limits,
            total=options.total,
            target=options.target,
            cooldown=options.cooldown,
            max_shift=options.max_shift,
        )
        self._decided = float("-inf")
        self.levels: tuple[Level, ...] = ()
        """As they were at the last decision."""

    def decide(
        self, manned: Mapping[str, Manned], *, ending: int, paused: Collection[str] = ()
    ) -> Mapping[str, int]:
        """The queues whose number of processes is to change, and to what; nothing as long as
        nothing new was seen. `ending`: processes of whatever queue that are about to go."""
        sight = self.lookout.seen
        if sight is None or sight.at <= self._decided:
            return {}
        self._decided = sight.at
        for queue, flow in self._flows.items():
            flow.look(
                manned[queue].meters,
                sight.pending[queue],
                now=sight.at,
                counted=sight.counted[queue],
                shared_by=sight.sharers[queue],
            )
        self.levels = tuple(self._level(queue, sight, paused) for queue in self._flows)
        for level in self.levels:
            limits = self._options.limits[level.queue]
            self.lookout.at_most[level.queue] = enough(level, limits, self._options.target)
        plan = self._balancer.decide(
            self.levels,
            {queue: each.processes for queue, each in manned.items()},
            ending=ending,
            now=sight.at,
        )
        for change in plan.changes:
            self._say(str(change))
        return {change.queue: change.after for change in plan.changes}

    @property
    def has_work(self) -> bool:
        """Whether something waited at the last look that may be taken; before the first one, that
        is possible."""
        return not self.levels or any(level.pending and not level.paused for level in self.levels)

    def paces(self, workers: Mapping[str, tuple[str, Meter]]) -> dict[str, Pace]:
        """Of each worker, given its queue: an even part of what arrives there."""
        sharing = Counter(queue for queue, _ in workers.values())
        levels = {each.queue: each for each in self.levels}
        return {
            worker: pace(
                levels[queue].arrivals / sharing[queue],
                levels[queue].service,
                meter.started - meter.ended,
            )
            for worker, (queue, meter) in workers.items()
            if queue in levels
        }

    def _level(self, queue: str, sight: Sight, paused: Collection[str]) -> Level:
        flow = self._flows[queue]
        return Level(
            queue,
            sight.pending[queue],
            more=not sight.counted[queue],
            arrivals=flow.arrivals,
            service=flow.service,
            running=flow.running,
            slots=self._slots[queue],
            shared_by=sight.sharers[queue],
            paused=queue in paused or ALL_QUEUES in paused,
        )


def slots_by_queue(
    jobs: Iterable[JobDefinition], options: WorkOptions, *, default: str
) -> dict[str, int]:
    """How many of the jobs that go to a queue by themselves one process runs at once: those of the
    kind for which it has least room. `default`: the queue of jobs that name none."""
    sizes = options.slots()
    found: dict[str, int] = {}
    for job in jobs:
        queue, size = job.options.queue or default, sizes[job.isolation]
        found[queue] = min(size, found.get(queue, size))
    return {queue: found.get(queue, options.thread_slots) for queue in options.queues}
