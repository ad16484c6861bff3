"""Slots: where jobs run inside a child. On the event loop and in threads here; in processes of
their own in `isolation`."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import monotonic
from typing import Protocol

from tabur.jobs.current import run_as
from tabur.jobs.scope import NOBODY, CurrentScope
from tabur.model.clock import now_us
from tabur.model.outcome import Outcome
from tabur.worker.running.run import Run, completed, stopped

Done = Callable[[Run, Outcome], None]


class Slots(Protocol):
    """A place where `size` jobs of one isolation run at once."""

    size: int

    def start(self, runs: Sequence[Run]) -> None:
        """Begin each; never more than are free. The end of each is told by `done`."""

    def end(self, run: Run) -> None:
        """End a run whose time is over (or the child's), as far as this kind can; `run.timed_out`
        or `run.cut_off` says why."""

    def call_back(self, run: Run) -> None:
        """Its owner has asked for its end; it is for the job to look (`ctx.check_cancelled`)."""

    def stop_soon(self) -> None:
        """Its worker stops: jobs that look (`ctx.stopping`) may end early."""

    def close(self) -> None:
        """End what still runs, at once; no ends are told any more."""


class LoopSlots:
    """Coroutines, on one event loop in a thread of its own."""

    def __init__(self, size: int, scope: CurrentScope, done: Done) -> None:
        self.size = size
        self._scope = scope
        self._done = done
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="tabur-loop", daemon=True)
        self._thread.start()

    def start(self, runs: Sequence[Run]) -> None:
        self._loop.call_soon_threadsafe(self._begin, runs)

    def end(self, run: Run) -> None:
        if run.handle is not None:
            self._loop.call_soon_threadsafe(run.handle.cancel)

    def call_back(self, run: Run) -> None:
        pass

    def stop_soon(self) -> None:
        pass

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1.0)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin(self, runs: Sequence[Run]) -> None:
        for run in runs:
            run.handle = asyncio.Task(self._perform(run), loop=self._loop)

    async def _perform(self, run: Run) -> None:
        if (scope := run.scope()) is not NOBODY:
            self._scope.enter(scope)  # each task has its own context: nothing to reset
        run_as(run.ctx)
        run.started_at = now_us()
        if run.timeout:  # from here: behind one that blocks the loop it would be charged for that
            run.deadline = monotonic() + run.timeout
        try:
            outcome = completed(run, await run.call(run.ctx, run.arguments))
        except BaseException as error:
            outcome = stopped(run, error)
        self._done(run, outcome)


class ThreadSlots:
    """Plain functions, in threads. A thread cannot be killed: a run that ignores its end keeps it
    until the child is replaced."""

    def __init__(self, size: int, scope: CurrentScope, done: Done) -> None:
        self.size = size
        self._scope = scope
        self._done = done
        self._waiting: SimpleQueue[Run | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, runs: Sequence[Run]) -> None:
        while len(self._threads) < self.size:
            thread = threading.Thread(target=self._work, name="tabur-slot", daemon=True)
            self._threads.append(thread)
            thread.start()
        for run in runs:
            self._waiting.put(run)

    def end(self, run: Run) -> None:
        """Raise in its thread, at the next line of Python that it runs."""
        with self._guard:
            traced = _FREEZES_TRACED and sys.gettrace() is not None
            if run.handle is not None and not traced:
                _raise_in(run.handle, _Ended)

    def call_back(self, run: Run) -> None:
        pass

    def stop_soon(self) -> None:
        pass

    def close(self) -> None:
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        me = threading.get_ident()
        while (run := self._waiting.get()) is not None:
            try:
                outcome = self._perform(run, me)
                if run.is_ending:
                    _deliver()
            except _Ended as error:
                outcome = stopped(run, error)
            self._done(run, outcome)

    def _perform(self, run: Run, me: int) -> Outcome:
        run.started_at = now_us()
        if run.timeout:
            run.deadline = monotonic() + run.timeout
        run.handle = me
        self._scope.enter(run.scope())  # the thread is our own, and its next job sets both anew
        run_as(run.ctx)
        try:
            return completed(run, run.call(run.ctx, run.arguments))
        except BaseException as error:
            return stopped(run, error)
        finally:
            with self._guard:
                run.handle = None


def _deliver() -> None:
    """An exception that was raised from outside arrives at the latest on this call."""


#: Python 3.11 spins in every traced thread (coverage, a debugger) while an exception waits for one
#: that sits in a C call. There such a run is left to its deadline, and its process is replaced.
_FREEZES_TRACED = sys.version_info < (3, 12)


class _Ended(BaseException):
    """Raised from outside in a thread whose run is to end."""


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))
