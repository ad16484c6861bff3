"""The loop of a scheduler: looks, waits until something is due, and goes on whatever happens."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from time import monotonic

import msgspec

from tabur.errors import StoreError
from tabur.model.clock import SECOND
from tabur.model.ids import new_worker_id
from tabur.scheduler.beats import BEAT, Beat, Interrupts
from tabur.scheduler.ticker import Looked, Ticker

_log = logging.getLogger("tabur.scheduler")

#: Seconds: longest wait between two looks, for what somebody has made or resumed meanwhile.
LOOK = 1.0
#: Seconds: shortest wait. What is due and cannot be decided must not make it run hot.
SHORTEST = 0.001
#: Seconds between two tries when the store does not answer: first and longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0


class Chore(msgspec.Struct, frozen=True):
    """Something to be done every so many seconds beside the loop, in a thread of its own: what
    takes long in it delays no tick. What it raises is logged."""

    name: str
    every: float
    run: Callable[[], object]


class Scheduler:
    """`tickers`: one for each store; each has a thread of its own, so that one store which does not
    answer keeps no other waiting."""

    def __init__(
        self,
        tickers: Sequence[Ticker],
        *,
        say: Callable[[str], None],
        chores: Sequence[Chore] = (),
        version: str = "",
    ) -> None:
        self._say = say
        self._chores = chores
        self._over = threading.Event()
        self._loops = [Loop(ticker, self._over, say=say, version=version) for ticker in tickers]

    def run(self) -> None:
        """Until `stop`, or an interrupt of all schedulers. Raises StoreError where a store cannot
        be used at all."""
        for loop in self._loops:
            loop.begin()
        threads = [
            threading.Thread(target=each.run, name="tabur-schedule", daemon=True)
            for each in self._loops
        ]
        for chore in self._chores:
            threading.Thread(
                target=self._do, args=(chore,), name="tabur-chore", daemon=True
            ).start()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._over.wait(LOOK)  # signals come in between
            for thread in threads:
                thread.join(0.05)

    def run_minute(self) -> int:
        """What is due in this minute, as crontab calls it once a minute. Answers how many jobs were
        dispatched. Raises StoreError."""
        errors: list[StoreError] = []
        counts: list[int] = []

        def work(loop: Loop) -> None:
            try:
                counts.append(loop.run_minute())
            except StoreError as error:
                errors.append(error)

        others = [threading.Thread(target=work, args=(loop,)) for loop in self._loops[1:]]
        for thread in others:
            thread.start()
        for loop in self._loops[:1]:
            work(loop)
        for thread in others:
            thread.join()
        if errors:
            raise errors[0]
        return sum(counts)

    def stop(self) -> None:
        """From any thread or a signal handler."""
        self._over.set()

    def _do(self, chore: Chore) -> None:
        while not self._over.is_set():
            try:
                chore.run()
            except Exception as error:
                trace = None if isinstance(error, StoreError) else error
                _log.warning("%s failed and is tried again: %s", chore.name, error, exc_info=trace)
            self._over.wait(chore.every)


class Loop:
    """One store's."""

    def __init__(
        self,
        ticker: Ticker,
        over: threading.Event,
        *,
        say: Callable[[str], None],
        version: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ticker = ticker
        self._over = over
        self._say = say
        self._clock = clock
        self._beat = Beat(ticker.driver, ticker.name, "work", version=version)
        self._version = version
        self._interrupts = Interrupts(ticker.driver)
        self._registered = False
        self._beaten = 0.0
        self._pause = 0.0

    def begin(self) -> None:
        """Raises StoreError where the store cannot be used at all."""
        self._ticker.register()
        self._interrupts.begin()
        self._registered = True

    def run(self) -> None:
        while not self._over.is_set():
            self._over.wait(self.turn())
        self._beat.end()

    def turn(self) -> float:
        """One look. Answers the seconds until the next."""
        try:
            looked = self._look()
        except StoreError as error:
            return self._away(error)
        except Exception:
            _log.exception("The scheduler failed and goes on")
            return LOOK
        if self._pause:
            self._pause = 0.0
            self._say("The store answers again.")
        return _until_next(looked)

    def run_minute(self) -> int:
        """Raises StoreError."""
        now = self._ticker.driver.now()
        minute = now // (60 * SECOND) * 60 * SECOND
        # A store that lives only as long as this process knows nothing of earlier minutes.
        fresh = self._ticker.driver.name in ("sync", "memory")
        self._ticker.register(begin=minute - 1 if fresh else None)
        host = socket.gethostname()
        Beat(self._ticker.driver, f"{host[:27]}.run", "run", version=self._version).beat()
        self._interrupts.begin()
        dispatched, beaten = 0, self._clock()
        while True:
            looked = self._ticker.tick()
            dispatched += looked.dispatched
            ends = minute + 60 * SECOND
            if looked.next_due is None or looked.next_due >= ends or looked.now >= ends:
                return dispatched
            if self._over.wait(_until_next(looked)):
                return dispatched
            if self._clock() - beaten > BEAT:
                beaten = self._clock()
                if self._interrupts.came():
                    return dispatched

    def _look(self) -> Looked:
        if not self._registered:
            self.begin()
        looked = self._ticker.tick()
        if self._clock() - self._beaten >= BEAT or not self._beaten:
            self._beaten = self._clock()
            self._beat.beat()
            if self._interrupts.came():
                self._say("Interrupt asked for: stopped.")
                self._over.set()
        return looked

    def _away(self, error: StoreError) -> float:
        if not self._pause:
            self._say(f"Schedules wait for the store: {error}")
        self._pause = min(max(2 * self._pause, RETRY_FIRST), RETRY_LONGEST)
        return self._pause


def new_name() -> str:
    """Of a scheduler: no other bears it."""
    return new_worker_id(socket.gethostname())


def _until_next(looked: Looked) -> float:
    if looked.next_due is None:
        return LOOK
    return min(LOOK, max(SHORTEST, (looked.next_due - looked.now) / SECOND))
