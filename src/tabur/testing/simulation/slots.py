"""Slots in which simulated threads stand for the event loop, threads and processes of jobs."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tabur.errors import ClaimLost, JobCancelled
from tabur.jobs.context import FailJob, ReleaseJob
from tabur.model.codec import describe
from tabur.model.outcome import Ended, Outcome
from tabur.model.states import Isolation
from tabur.testing.simulation.acts import Interrupted, ProcessDied
from tabur.testing.simulation.executions import How
from tabur.worker.running.run import JobCrashed, Run, completed, interrupted, stopped
from tabur.worker.running.slots import Done

if TYPE_CHECKING:
    from tabur.testing.simulation.world import World

#: Seconds that a process of a job has between being told to end and being killed.
KILL_AFTER = 1.0


class SimulatedSlots:
    """A run ends as in the real slots, by the same functions."""

    def __init__(self, world: World, isolation: Isolation, size: int, done: Done) -> None:
        self.size = size
        self._world = world
        self._isolation = isolation
        self._done = done

    def warm(self, count: int) -> None:
        pass

    def start(self, runs: Sequence[Run]) -> None:
        process = self._world.timeline.process
        for run in runs:
            run.handle = process.start(partial(self._perform, run), "job")

    def end(self, run: Run) -> None:
        thread = run.handle
        if thread is None:
            return
        if self._isolation is Isolation.PROCESS:
            self._world.timeline.after(KILL_AFTER, lambda: thread.interrupt(ProcessDied()))
        else:
            thread.interrupt(Interrupted())

    def call_back(self, run: Run) -> None:
        pass

    def stop_soon(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _perform(self, run: Run) -> None:
        world = self._world
        run.started_at = world.machine.now_us()
        if run.timeout:
            run.deadline = world.machine.monotonic() + run.timeout
        execution = world.ledger.begin(run, self._isolation)
        try:
            value = run.call(run.ctx, run.arguments)
            if run.definition.is_async:
                value = _driven(value)
            how, outcome = How.RETURNED, completed(run, value)
        except BaseException as error:
            how = _how(run, error)
            outcome = self._died(run) if isinstance(error, ProcessDied) else stopped(run, error)
        if run.is_ending and self._isolation is Isolation.PROCESS and not outcome.settled:
            how, outcome = _ended(run), interrupted(run)  # its process was told to end
        run.handle = None
        world.ledger.end(execution, how)
        self._done(run, outcome)

    def _died(self, run: Run) -> Outcome:
        if run.is_ending:
            return interrupted(run)
        run.error = JobCrashed("Its process ended while it ran.")
        now = self._world.machine.now_us()
        return Outcome(Ended.CRASHED, run.started_at, now, error=describe(run.error))


def _how(run: Run, error: BaseException) -> How:
    """How a run really ended: said anew here, to be compared with what the worker makes of it."""
    if run.is_ending and not isinstance(error, Exception):
        return _ended(run)
    if isinstance(error, ReleaseJob) and (run.ctx.stopping or not error.charged):
        return How.HANDED_BACK
    return next((how for kind, how in _HOW if isinstance(error, kind)), How.RAISED)


_HOW: list[tuple[type[BaseException], How]] = [
    (ProcessDied, How.DIED),
    (ClaimLost, How.HANDED_BACK),
    (ReleaseJob, How.RELEASED),
    (FailJob, How.GAVE_UP),
    (JobCancelled, How.CALLED_BACK),
]


def _ended(run: Run) -> How:
    return How.OVERTIME if run.timed_out else How.CUT_OFF


def _driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What it comes to: it waits for nothing but its thread."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a simulated job awaited something real")
