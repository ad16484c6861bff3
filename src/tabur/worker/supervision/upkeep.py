"""The store's side of a supervisor: it beats for its children, makes them known, gives back what
dead ones held, finds workers of other hosts that are lost, tells how fast ours are, and reads the
signals.

Two threads, so that nothing that takes long delays a beat; the supervisor's own never waits for the
store. The methods `beat` and `mend` are single rounds of the two, for tests and simulations.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import Protocol

from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.model.records import Crash, ErrorInfo, Pace, Signals, WorkerRecord
from tabur.worker.options import WorkOptions
from tabur.worker.supervision.moments import Moments
from tabur.worker.supervision.rescue import Observations

_log = logging.getLogger("tabur.worker")

#: Seconds: between looks at the signals, between advances of the store's moment, between prunings.
LOOK_AT_SIGNALS = 2.5
ADVANCE = 60.0
PRUNE = 3600.0
#: Seconds between two tries when the store does not answer: first and longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0


class Duty(Protocol):
    """Something that is owed to the store, tried again until it is done."""

    done: bool

    def perform(self, driver: Driver) -> bool:
        """Answers whether it is done. What is not is tried again later, and keeps no other from
        being done."""


class Registration:
    """`took`: seconds from the first try until it was done, in which the store may have known the
    worker already."""

    def __init__(self, record: WorkerRecord, *, clock: Callable[[], float] = monotonic) -> None:
        self.done = False
        self.took = 0.0
        self._record = record
        self._clock = clock
        self._asked: float | None = None

    def perform(self, driver: Driver) -> bool:
        if self._asked is None:
            self._asked = self._clock()
        driver.workers.register(self._record)
        self.took = self._clock() - self._asked
        return True


class Release:
    """Of what a dead worker held, and of its registration. `released`: how many jobs that were."""

    def __init__(
        self, worker: str, crash: Crash | None, *, say: Callable[[str], None] | None = None
    ) -> None:
        self.done = False
        self.released = 0
        self.worker = worker
        self._crash = crash
        self._say = say

    def perform(self, driver: Driver) -> bool:
        self.released += driver.claiming.release_worker(self.worker, crash=self._crash)
        if self.worker in driver.claiming.holders():
            return False  # locked by a transaction of its own, which the store has not given up yet
        driver.workers.remove(self.worker)
        if self._say is not None:
            self._say(f"Worker {self.worker} is lost; {self.released} of its jobs run again.")
        return True


class Upkeep:
    """`alive` answers the workers to beat for; `prune` is called once an hour; `say` is where it
    tells what happened; `clock` in seconds, its own."""

    def __init__(
        self,
        driver: Driver,
        options: WorkOptions,
        *,
        alive: Callable[[], Collection[str]],
        moments: Moments,
        prune: Callable[[], object],
        say: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._driver = driver
        self._options = options
        self._alive = alive
        self._moments = moments
        self._prune = prune
        self._say = say
        self._clock = clock
        now = clock()
        self.last_beat = now
        """When the store last took a beat."""
        self.beaten: frozenset[str] = frozenset()
        """Whose that was."""
        self.expelled: frozenset[str] = frozenset()
        """Workers of ours that others have found lost: their jobs run elsewhere by now."""
        self.signals: Signals | None = None
        self.paces: Mapping[str, Pace] = {}
        """How fast our workers are; the store is told what has changed."""
        self._told: Mapping[str, Pace] = {}
        self._duties: deque[Duty] = deque()
        self._observed = Observations(driver, lost_after=options.lost, clock=clock)
        self._looked_at_signals = self._beaten = self._observed_at = now
        self._advanced = now
        self._pruned = now - PRUNE + 60.0
        self._pause = 0.0
        self._over = threading.Event()
        self._wanted = threading.Event()

    def start(self) -> None:
        """Raises StoreError where the store cannot be used at all."""
        self.look_at_signals()
        for name, work in (("tabur-beat", self._beating), ("tabur-mend", self._mending)):
            threading.Thread(target=work, name=name, daemon=True).start()

    def stop(self) -> None:
        self._over.set()
        self._wanted.set()

    def owe(self, duty: Duty) -> None:
        """Do it in the background; `duty.done` says when it is."""
        self._duties.append(duty)
        self._wanted.set()

    # beating

    def beat(self) -> None:
        """One round: a beat where it is time for one, and a look at the signals."""
        now = self._clock()
        due = now - self._beaten >= self._options.beat
        alive = list(self._alive()) if due else []
        if due:
            self._beaten = now
        if alive and self._driver.workers.beat(alive) < len(alive):
            known = {each.id for each in self._driver.workers.list()}
            self.expelled = frozenset(alive) - known
        # With nobody to beat for, the signals tell whether the store answers.
        if now - self._looked_at_signals >= LOOK_AT_SIGNALS or (due and not alive):
            self._looked_at_signals = now
            self.look_at_signals()
        if due:
            self.last_beat, self.beaten = now, frozenset(alive)

    def look_at_signals(self) -> None:
        control = self._driver.control
        signals = control.signals()
        held = self._moments.check(signals, control)
        self.signals = control.signals() if held else signals

    # mending

    def mend(self) -> None:
        """One round: what is owed, then what is to be done from time to time."""
        self._do_what_is_owed()
        now = self._clock()
        if now - self._observed_at >= self._options.beat:
            self._observed_at = now
            self._rescue()
            self._do_what_is_owed()
        if now - self._advanced >= ADVANCE:
            self._advanced = now
            if self.signals is not None and self.signals.hold is None:
                self._moments.keep(self._driver.control.advance())
        if now - self._pruned >= PRUNE:
            self._pruned = now
            self._prune()
        self._tell()

    def _do_what_is_owed(self) -> None:
        later: list[Duty] = []
        try:
            while self._duties:
                duty = self._duties.popleft()
                try:
                    duty.done = duty.perform(self._driver)
                except StoreError:
                    self._duties.appendleft(duty)  # in their order: nothing is released too early
                    raise
                except Exception:
                    self._duties.append(duty)  # one that cannot be done keeps no other from it
                    raise
                if not duty.done:
                    later.append(duty)
        finally:
            self._duties.extend(later)

    def _tell(self) -> None:
        paces = self.paces
        changed = {each: pace for each, pace in paces.items() if self._told.get(each) != pace}
        if changed:
            self._driver.workers.tell(changed)
        self._told = paces

    def _rescue(self) -> None:
        if self._clock() - self.last_beat > 2 * self._options.beat:
            return  # this observer is not well itself
        owed = {duty.worker for duty in self._duties if isinstance(duty, Release)}
        for worker, beats in self._observed.lost(except_for=self._alive()):
            if worker in owed:
                continue
            crash: Crash | None = None  # claims that came after their worker's end never ran
            if beats >= 0:
                if not self._driver.workers.remove(worker, beats=beats):
                    continue  # it has just beaten
                error = ErrorInfo("JobCrashed", _LOST.format(worker, self._options.lost))
                crash = Crash(error)
            # Owed from here: a claim may be locked by its worker's own transaction, which the store
            # has not given up yet.
            self._duties.append(Release(worker, crash, say=self._say))

    # the threads

    def _beating(self) -> None:
        pause = min(LOOK_AT_SIGNALS, self._options.beat)
        while not self._over.wait(pause):
            self._try(self.beat, "No beat could be written")

    def _mending(self) -> None:
        while not self._over.is_set():
            self._wanted.clear()
            well = self._try(self.mend, "What is owed to the store waits for it")
            if well:
                self._pause = 0.0
                self._wanted.wait(min(1.0, self._options.beat))
            else:
                self._pause = min(max(2 * self._pause, RETRY_FIRST), RETRY_LONGEST)
                self._over.wait(self._pause)

    def _try(self, work: Callable[[], None], what: str) -> bool:
        try:
            work()
        except StoreError as error:
            _log.warning("%s: %s", what, error)
            return False
        except Exception:
            _log.exception("The supervisor's upkeep failed and goes on")
            return False
        return True


_LOST = "Its worker {} was lost: no beat for {:g} s. Its host may be gone, or was cut off."
