"""The people: applications that dispatch, and operators who call back, retry, pause and restart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from tabur.errors import StoreUnavailable
from tabur.model.records import ALL_QUEUES, Pause
from tabur.testing.simulation.host import Host, HostProcess
from tabur.testing.simulation.jobs import new_job

if TYPE_CHECKING:
    from tabur.testing.simulation.world import World

#: Of the time with faults, the share in which jobs are dispatched.
DISPATCHING = 0.8
#: Seconds for which a queue is paused once all is calm, to see that it is obeyed.
PAUSED = 12.0


class People:
    """They repeat what was not answered until it is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Random(f"{world.seed} people")
        self.dispatched: list[bytes] = []
        """Of which the store has said so."""
        self.is_done = False
        office = Host(world, "office", up_for=0.0, wall=0.0)
        self._process = HostProcess(office, "office")

    def begin(self) -> None:
        plan, chance = self._world.plan, self._chance
        batches: list[int] = []
        while sum(batches) < plan.jobs:
            batches.append(min(chance.randint(1, 5), plan.jobs - sum(batches)))
        first = 1
        moments = sorted(chance.uniform(0.0, plan.trouble * DISPATCHING) for _ in batches)
        for moment, count in zip(moments, batches, strict=True):
            self._at(moment, partial(self._dispatch, range(first, first + count)))
            first += count
        for times, action in (
            (plan.calls_back, self._call_back),
            (plan.retries, self._retry),
            (plan.pauses, self._pause),
            (plan.restarts, self._restart),
        ):
            for _ in range(times):
                self._at(chance.uniform(1.0, plan.trouble), action)
        self._at(plan.trouble + 0.1, self._see_that_they_obey)

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        def begin() -> None:
            self._process.start(action)

        self._world.timeline.at(moment, begin)

    def _insist(self, verb: Callable[..., Any], *given: Any) -> Any:
        while True:
            try:
                return verb(*given)
            except StoreUnavailable:
                self._world.timeline.thread.sleep(self._chance.uniform(0.1, 2.0))

    def _dispatch(self, numbers: range) -> None:
        world, chance = self._world, self._chance
        jobs = [new_job(n, world.plan, chance, world.store_clock()) for n in numbers]
        self._insist(self._process.link.dispatching.dispatch, jobs)
        self.dispatched += [job.id for job in jobs]

    def _call_back(self) -> None:
        if self.dispatched:
            job_id = self._chance.choice(self.dispatched)
            self._insist(self._process.link.dispatching.cancel, job_id)

    def _retry(self) -> None:
        self._insist(self._process.link.dispatching.retry, list(self.dispatched))

    def _restart(self) -> None:
        for host in self._world.hosts:
            host.has_new_code = True
        self._insist(self._process.link.control.restart)

    def _pause(self) -> None:
        world, chance = self._world, self._chance
        control, queue = self._process.link.control, chance.choice(world.plan.options.queues)
        begin, end = chance.choice(
            [
                (partial(control.pause, Pause(queue, since=0)), partial(control.resume, queue)),
                (
                    partial(control.pause, Pause(ALL_QUEUES, since=0)),
                    partial(control.resume, ALL_QUEUES),
                ),
                (partial(control.hold, "as its seed says"), control.release_hold),
            ]
        )
        self._insist(begin)
        world.timeline.thread.sleep(chance.uniform(1.0, 30.0))
        self._insist(end)

    def _see_that_they_obey(self) -> None:
        queues, thread = self._world.plan.options.queues, self._world.timeline.thread
        control = self._process.link.control
        self._resume_all()
        if self._world.plan.restarts:
            self._insist(control.restart)
        self._insist(control.pause, Pause(queues[0], since=0))
        thread.sleep(PAUSED)
        self.is_done = True
        while True:  # a pause that was sent before may still arrive
            self._resume_all()
            thread.sleep(PAUSED)

    def _resume_all(self) -> None:
        for queue in (*self._world.plan.options.queues, ALL_QUEUES):
            self._insist(self._process.link.control.resume, queue)
        self._insist(self._process.link.control.release_hold)
