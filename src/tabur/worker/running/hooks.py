"""`failed()` of jobs, beside the I/O thread: a job that has failed for good hears of it first, and
then it is recorded. What hangs in there, or ends its process, must not be for ever."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from math import inf

from tabur.jobs.scope import CurrentScope
from tabur.model.decide import CRASHES_UNTIL_POISON
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob
from tabur.worker.running.finish import Finished, call_failed

_log = logging.getLogger("tabur.worker")

#: How many run at once.
THREADS = 2
#: Crashes of a job after which its `failed()` is not called any more: it was poison at half of
#: them, and its process has died under `failed()` since.
UNTIL_SILENCE = 2 * CRASHES_UNTIL_POISON
#: Seconds that one has. Then the failure is recorded without waiting for it.
PATIENCE = 60.0


class Call:
    """One `failed()`, with what is to be recorded after it."""

    __slots__ = ("deadline", "finished", "move")

    def __init__(self, finished: Finished, move: Transition) -> None:
        self.finished = finished
        self.move = move
        self.deadline: float | None = None
        """Set when it begins; None again once it was given up."""

    @property
    def job(self) -> ClaimedJob:
        return self.finished.job

    def ends_at(self, now: float) -> float:
        return now + PATIENCE if self.deadline is None else self.deadline


class Hooks:
    """Belongs to the I/O thread, which adds and takes; `wake` wakes that one. `clock` in
    seconds."""

    def __init__(
        self,
        scope: CurrentScope,
        *,
        clock: Callable[[], float],
        wake: Callable[[], None],
        executor: Executor | None,
    ) -> None:
        self._scope = scope
        self._clock = clock
        self._wake = wake
        self._executor = executor or ThreadPoolExecutor(THREADS, "tabur-failed")
        self._calls: dict[Call, None] = {}
        self._new: deque[Call] = deque()
        self._ended: deque[Call] = deque()

    def __bool__(self) -> bool:
        """Whether any is to be waited for, or taken."""
        return bool(self._calls)

    @property
    def tokens(self) -> set[bytes]:
        return {call.move.token for call in self._calls}

    @property
    def have_ended(self) -> bool:
        """Whether there is something to take."""
        return bool(self._ended)

    def first(self) -> Sequence[Call]:
        """Those that run, and some that are about to."""
        return list(islice(self._calls, 4 * THREADS))

    def add(self, finished: Finished, move: Transition) -> None:
        call = Call(finished, move)
        self._calls[call] = None
        self._new.append(call)

    def begin(self) -> None:
        """Those that were added."""
        while self._new:
            self._executor.submit(self._run, self._new.popleft())

    def take(self) -> list[tuple[Finished, Transition]]:
        """What has ended, each once."""
        ends = []
        for _ in range(len(self._ended)):
            call = self._ended.popleft()
            if call in self._calls:
                del self._calls[call]
                ends.append((call.finished, call.move))
        return ends

    def give_up(self, now: float) -> list[Finished]:
        """From another thread: let be recorded what has run for too long. The threads stay, since
        nothing can end them but the end of their process."""
        late = [call for call in list(self._calls) if now > (call.deadline or inf)]
        for call in late:
            call.deadline = None
            self._end(call)
        return [call.finished for call in late]

    def close(self) -> None:
        self._executor.shutdown(wait=False)

    def _run(self, call: Call) -> None:
        call.deadline = self._clock() + PATIENCE
        finished = call.finished
        job, job_id = finished.job, finished.ctx.job_id
        if job.crashes >= UNTIL_SILENCE:
            _log.error(
                "failed() of %s %s is not called again: the process has died under it each time",
                *(job.name, job_id),
            )
        elif finished.ctx.backing.has_moved_on(job.id, job.token):
            # Its worker stood still for too long: another runs it, and may well complete it.
            _log.warning("failed() of %s %s is not called: it runs elsewhere", job.name, job_id)
        else:
            call_failed(finished, self._scope)
        self._end(call)

    def _end(self, call: Call) -> None:
        self._ended.append(call)
        self._wake()
