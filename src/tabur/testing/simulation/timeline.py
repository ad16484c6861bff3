"""Virtual time: events in their order, and threads that run one at a time, each until it waits.

A thread is a greenlet: it may wait anywhere, also deep inside code that knows nothing of it, and
nothing but what is written here decides who goes on next.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any

try:
    from greenlet import getcurrent, greenlet
except ImportError as error:  # pragma: no cover  # a development environment has it
    raise ImportError(
        "The simulation needs greenlet: pip install 'tabur[testing]', or pip install greenlet."
    ) from error


class Timeline:
    """What happens, in the order in which it does. Moments are seconds since the beginning."""

    def __init__(self, chance: Random) -> None:
        self.now = 0.0
        self.chance = chance
        self.at_once = 0
        """Events since the clock last went on."""
        self.running: Thread | None = None
        self.hub = getcurrent()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Events of the same moment happen in the order in which they were put in."""
        self._count += 1
        heappush(self._events, (max(moment, self.now), self._count, event))

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.at(self.now + seconds, event)

    def step(self) -> bool:
        """Let the next event happen; False where there is none."""
        if not self._events:
            return False
        moment, _, event = heappop(self._events)
        self.at_once = self.at_once + 1 if moment == self.now else 0
        self.now = moment
        event()
        return True

    @property
    def thread(self) -> Thread:
        """Whose code runs now."""
        assert self.running is not None, "no simulated thread runs"
        return self.running

    @property
    def process(self) -> Any:
        """Whose code runs now: one of a host."""
        return self.thread.process


class Standstill:
    """How long something has stood still, in all and until when."""

    def __init__(self, timeline: Timeline) -> None:
        self.awake_since = timeline.now
        self._timeline = timeline
        self._began: float | None = None
        self._before = 0.0

    @property
    def seconds(self) -> float:
        began = self._began
        return self._before + (0.0 if began is None else self._timeline.now - began)

    def begin(self) -> None:
        self._began = self._timeline.now

    def end(self) -> None:
        self._before, self._began = self.seconds, None
        self.awake_since = self._timeline.now


class Process:
    """Threads that are stopped, go on and die together."""

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.timeline = timeline
        self.name = name
        self.threads: list[Thread] = []
        self.code: int | None = None
        """Of its exit; below zero: the signal that killed it."""
        self.is_killed = False
        """By whoever started it."""
        self.standstill = Standstill(timeline)
        self.on_exit: list[Callable[[], None]] = []
        self._stops = 0
        self._missed: list[Callable[[], None]] = []

    @property
    def lives(self) -> bool:
        return self.code is None

    @property
    def is_stopped(self) -> bool:
        return self._stops > 0

    def start(self, work: Callable[[], object], name: str = "main") -> Thread:
        thread = Thread(self, work, name)
        self.threads.append(thread)
        self.timeline.after(0.0, thread.begin)
        return thread

    def soon(self, event: Callable[[], None]) -> None:
        """Let `event` happen in this process: never once it is dead, and only while it runs."""
        if not self.lives:
            return
        if self._stops:
            self._missed.append(event)
        else:
            event()

    def stop(self) -> None:
        """As SIGSTOP: nothing of it runs until it has gone on as often as it was stopped."""
        if not self._stops:
            self.standstill.begin()
        self._stops += 1

    def go_on(self) -> None:
        self._stops -= 1
        if not self._stops and self.lives:
            self.standstill.end()
            missed, self._missed = self._missed, []
            self.timeline.chance.shuffle(missed)  # whoever wakes first
            for event in missed:
                self.timeline.after(0.0, partial(self.soon, event))

    def exit(self, code: int) -> None:
        """From now on nothing of it runs. What it has sent is on its way all the same."""
        if self.lives:
            self.code = code
            self._missed.clear()
            for each in self.on_exit:
                each()

    def bury(self) -> None:
        """End its threads where they stand, once nobody looks any more: what they would still do
        on their way out must not be seen."""
        for thread in self.threads:
            thread.end()


class Thread:
    """One thread of a process. Only it itself may `park`."""

    def __init__(self, process: Process, work: Callable[[], object], name: str) -> None:
        self.process = process
        self.name = name
        self.is_over = False
        self._timeline = process.timeline
        self._work = work
        self._greenlet: Any = greenlet(self._run, parent=self._timeline.hub)
        self._wait = 0
        """Which of its waits this is: what ends an earlier one comes too late."""

    def begin(self) -> None:
        self._resume(self._wait, value=True)

    def park(self, seconds: float | None = None) -> bool:
        """Wait until somebody unparks it, or so long; True: somebody has."""
        if seconds is not None:
            self._timeline.after(seconds, partial(self._resume, self._wait, value=False))
        woken: bool = self._timeline.hub.switch()
        return woken

    def sleep(self, seconds: float) -> None:
        """Wait so long, whoever unparks it meanwhile."""
        until = self._timeline.now + seconds
        while (left := until - self._timeline.now) > 0:
            self.park(left if left < inf else None)

    def unpark(self) -> None:
        self._timeline.after(0.0, partial(self._resume, self._wait, value=True))

    def interrupt(self, error: BaseException) -> None:
        """Let `error` be raised where it waits then, whatever it waits for."""
        self._timeline.after(0.0, partial(self._raise, error))

    def end(self) -> None:
        self._timeline.running = self
        while self._greenlet:
            with suppress(BaseException):  # its last words concern nobody
                self._greenlet.throw()
        self._timeline.running = None

    def _run(self, _: object) -> None:
        try:
            self._work()
        finally:
            self.is_over = True

    def _resume(self, wait: int, *, value: bool) -> None:
        if wait != self._wait or self.is_over or not self.process.lives:
            return
        if self.process.is_stopped:
            self.process.soon(partial(self._resume, wait, value=value))
        else:
            self._switch(partial(self._greenlet.switch, value))

    def _raise(self, error: BaseException) -> None:
        if self.is_over or not self.process.lives:
            return
        if self.process.is_stopped:
            self.process.soon(partial(self._raise, error))
        elif not self._greenlet:
            self.interrupt(error)  # it is just about to begin
        else:
            self._switch(partial(self._greenlet.throw, error))

    def _switch(self, to: Callable[[], object]) -> None:
        self._wait += 1
        self._timeline.running = self
        try:
            to()
        finally:
            self._timeline.running = None
