"""One world: all of it made from one seed, and run until everything has come to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from tabur.drivers.contract import Driver
from tabur.jobs.context import JobContext
from tabur.model.clock import SECOND
from tabur.model.records import WorkerRecord
from tabur.testing.simulation.acts import Play, perform
from tabur.testing.simulation.calls import Calls
from tabur.testing.simulation.history import History, said
from tabur.testing.simulation.host import Host, HostProcess
from tabur.testing.simulation.jobs import Apps
from tabur.testing.simulation.ledger import Ledger
from tabur.testing.simulation.link import Listener
from tabur.testing.simulation.machine import Machine, taken
from tabur.testing.simulation.people import People
from tabur.testing.simulation.plan import planned
from tabur.testing.simulation.promises import Promises
from tabur.testing.simulation.spite import Spite
from tabur.testing.simulation.store import Store
from tabur.testing.simulation.timeline import Timeline
from tabur.testing.simulation.weather import Weather

MakeDriver = Callable[[Callable[[], int]], Driver]

#: Seconds, once nothing goes wrong any more, until everything must have come to its end.
CEILING = 300.0
#: Events of one moment, after which nobody can be about to wait.
RESTLESS = 5_000
#: Seconds since the epoch: what clocks show in the beginning.
EPOCH = 1_750_000_000


class World:
    def __init__(self, seed: int, apps: Apps, make_driver: MakeDriver) -> None:
        self.seed = seed
        self.plan = planned(seed)
        self.apps = apps
        self.timeline = Timeline(Random(f"{seed} timeline"))
        self.chance = Random(f"{seed} world")
        self.history = History(seed)
        self.is_calm = False
        """Nothing goes wrong any more."""
        self._is_over = False
        self._pids = 1000
        self.play = Play(seed, self.plan)
        self.machine = Machine(self)
        self.ledger = Ledger(self)
        self.promises = Promises(self)
        driver = make_driver(self.store_clock)
        driver.migrate()
        self.store = Store(self, driver)
        self.listeners: list[Listener] = []
        self.workers: dict[str, HostProcess] = {}
        """The process of each worker that has been registered."""
        self.processes: list[HostProcess] = []
        """All there ever were."""
        self.calls = Calls(self)
        self.spite = Spite(self)
        self.weather = Weather(self)
        self.hosts = [self._host(n) for n in range(1, self.plan.hosts + 1)]
        self.people = People(self)

    def run(self) -> History:
        """Everything, from the first event to the last."""
        with taken(self.machine), self._listening():
            self.weather.begin()
            self.people.begin()
            for host in self.hosts:
                host.boot()
            self.timeline.at(self.plan.trouble, self._look)
            self._watch()
            while not self._is_over and self.timeline.step():
                if self.timeline.at_once > RESTLESS:
                    self.broken("somebody goes on and on without waiting")
            self._is_over = True
            for process in self.processes:
                process.bury()
        self.store.driver.close()
        history = self.history
        history.jobs, history.runs = len(self.store.model.jobs), len(self.ledger.executions)
        history.drained = self.timeline.now - self.plan.trouble
        history.seconds = self.timeline.now
        return history

    # what the parts ask of each other

    def store_clock(self) -> int:
        return self.store_moment(self.timeline.now)

    def store_moment(self, moment: float) -> int:
        return int((EPOCH + moment) * SECOND)

    def next_pid(self) -> int:
        self._pids += 1
        return self._pids

    def perform(self, ctx: JobContext) -> Any:
        """Whatever the attempt does whose thread runs now."""
        execution = self.ledger.executions[ctx.job.id, ctx.job.token]
        number = int.from_bytes(ctx.job.id)
        return perform(self, execution, self.play.next_act(number, calm=self.is_calm))

    def hook(self, ctx: JobContext) -> None:
        """A `failed()` of a job, in the thread that runs it."""
        self.ledger.hooked(ctx.job)
        if not self.is_calm:
            chance = Random(f"{self.seed} {ctx.job.id.hex()} failed")
            self.timeline.thread.sleep(chance.choice([0.0, 0.5, 3.0, 3.0, 70.0]))

    def registered(self, by: HostProcess, worker: WorkerRecord) -> None:
        """The store knows a worker."""
        self.workers[worker.id] = next(p for p in self.processes if p.pid == worker.pid)
        self.promises.registered(worker.id)

    def changed(self) -> None:
        """Something may be claimed: some of those who wait hear of it."""
        for listener in self.listeners:
            if self.chance.random() < self.plan.wakes:
                self.timeline.after(self.chance.uniform(0.0, 0.1), listener.interrupt)

    # judging

    def note(self, by: HostProcess | None, what: str, *about: Any) -> None:
        if not self._is_over:
            self.history.add(self.timeline.now, "" if by is None else by.name, what, about)

    def expect(self, holds: bool, rule: str, *about: Any) -> None:  # noqa: FBT001  # as assert
        if not holds:
            self.broken(said(rule, about))

    def broken(self, why: str) -> None:
        """A promise is; what follows is not looked at."""
        if not self._is_over:
            self.note(None, f"BROKEN: {why}")
            self.history.broken = why
            self._is_over = True

    def _host(self, number: int) -> Host:
        wall = EPOCH + self.chance.uniform(-self.plan.skew, self.plan.skew)
        host = Host(self, f"h{number}", up_for=self.chance.uniform(0.0, 1e6), wall=wall)
        host.has_new_code = not self.plan.newer or self.chance.random() < 0.5
        return host

    def _watch(self) -> None:
        """Now and then, as long as there is a world."""
        for host in self.hosts:
            for child in host.children:
                self.promises.still_beats(child)
        self.timeline.after(1.0, self._watch)

    def _look(self) -> None:
        """Whether all is over, once it is calm."""
        late = self.timeline.now > self.plan.trouble + CEILING
        left = self.store.unfinished
        if late:
            jobs = [job.new for job in left]
            self.expect(not left, "not over after {} s: {}", CEILING, jobs)
            self.broken("the hosts are not as they were before anything went wrong")
        elif not left and self.people.is_done and all(map(self._is_well, self.hosts)):
            self._end()
        else:
            self.timeline.after(1.0, self._look)

    def _is_well(self, host: Host) -> bool:
        """Whether as many work on it as should, and the store knows them and nobody else."""
        working = {child.name for child in host.children if child.name in self.store.beats}
        known = {worker for worker in self.store.beats if self.workers[worker].host is host}
        if host.main is None:
            return False
        restarted = self.promises.first_told.get(host.main, 0.0) >= self.store.restarted_at
        options = self.plan.options
        least = 1 if options.max_jobs or options.max_time else options.processes
        return restarted and known == working and least <= len(working) <= options.processes

    def _end(self) -> None:
        missing = [
            job_id for job_id in self.people.dispatched if job_id not in self.store.model.jobs
        ]
        self.expect(not missing, "lost: {}", missing)
        try:
            self.store.compare()
        except AssertionError as error:
            self.broken(str(error))
        self._is_over = True

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """What the worker logs belongs to the history; an error that it did not expect is one."""
        log, handler = logging.getLogger("tabur.worker"), _Told(self)
        before = log.handlers, log.propagate, log.level
        log.handlers, log.propagate, log.level = [handler], False, logging.WARNING
        try:
            yield
        finally:
            log.handlers, log.propagate, log.level = before


class _Told(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        world, running = self._world, self._world.timeline.running
        process: Any = None if running is None else running.process
        world.note(process, f"says: {record.getMessage()}")
        if "does not end" in record.msg and isinstance(record.args, tuple):
            world.ledger.given_up(process, str(record.args[1]))
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            world.broken(f"an error of Tabur itself: {record.getMessage()}: {error!r}")
