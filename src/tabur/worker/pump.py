"""The I/O thread of a child: settles what has ended and claims what is free, turn by turn."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, monotonic_ns, sleep
from typing import Protocol

from msgspec.structs import replace

from tabur.drivers.contract import Exchange, Exchanged, ProgressWrite
from tabur.errors import StoreUnavailable
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import new_token
from tabur.model.outcome import Ending, Outcome, Settled, Transition
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation
from tabur.worker.finish import Finished, call_failed, ended, refused
from tabur.worker.options import WorkOptions
from tabur.worker.reports import StoreReporter
from tabur.worker.run import Refused, Run, prepare
from tabur.worker.runtime import Runtime
from tabur.worker.slots import Slots

_log = logging.getLogger("tabur.worker")

#: Seconds between two writes of progress, and between two looks at who is to be cancelled.
PROGRESS_EVERY = 1.0
WATCH_EVERY = 1.0
#: Seconds between two looks for claims that the store counts as ours and we know nothing of.
OWN_EVERY = 30.0
#: Seconds that a first end waits for others, while there is more to claim.
LINGER = 0.002
#: Seconds between tries when the store cannot be reached: first and longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0


class Observer(Protocol):
    """Watches; what it prints is its own affair."""

    def started(self, runs: Sequence[Run]) -> None: ...

    def settled(self, ends: Sequence[tuple[Finished, Transition]]) -> None: ...


class Pump:
    """Moves jobs between the store and the slots, and nothing else; runs in one thread."""

    def __init__(
        self,
        runtime: Runtime,
        options: WorkOptions,
        worker: str,
        reporter: StoreReporter,
        observer: Observer,
    ) -> None:
        self._runtime = runtime
        self._options = options
        self._worker = worker
        self._reporter = reporter
        self._observer = observer
        self._listener = runtime.driver.listen()
        self._slots: Mapping[Isolation, Slots] = {}
        self.running: dict[bytes, Run] = {}
        """What runs now, by id; written by this thread, read by the watch."""
        self._ended: deque[tuple[Run, Outcome]] = deque()
        self._hooked: deque[tuple[Finished, Transition]] = deque()
        self._hooks = ThreadPoolExecutor(2, "tabur-failed")
        self._hooks_running: dict[bytes, bytes] = {}
        """Tokens by job, of what has failed for good, while its `failed()` runs."""
        self._clock = _StoreTime()
        self._due: int | None = None
        self._asked = False
        """The last turn had slots free: what becomes due can be claimed."""
        self._backlog = False
        """The last turn got all it asked for: there is probably more."""
        self._enough = threading.Event()
        self._threshold = 1
        self._listening = False
        self._stopping = False
        self._lost_token: bytes | None = None
        """Of a claim whose answer did not come."""
        self._started = 0
        self._last_progress = self._last_watch = 0.0
        self._last_own = monotonic()
        self._strange: set[bytes] = set()
        """Tokens that the store counted as ours at the last look, and that we did not know."""
        self.stop_reason: str | None = None

    # from other threads

    def done(self, run: Run, outcome: Outcome) -> None:
        """A slot tells of an end. Cheap: the pump is woken once per turn, not once per job."""
        self._ended.append((run, outcome))
        if self._listening:
            self._listening = False
            self._listener.interrupt()
        if len(self._ended) >= self._threshold and not self._enough.is_set():
            self._enough.set()

    def stop(self, reason: str) -> None:
        """Claim no more; the pump ends when nothing runs."""
        self.stop_reason = self.stop_reason or reason
        self._stopping = True
        self._listener.interrupt()

    # the thread

    def run(self, slots: Mapping[Isolation, Slots]) -> None:
        """Work until stopped and nothing runs any more. Raises what makes work impossible, such as
        SchemaMissing."""
        self._slots = slots
        try:
            while not (self._stopping and not self._unfinished()):
                turn, ends = self._next_turn()
                self._took(turn, self._exchange(turn), ends)
                if not self._unfinished():
                    self._nothing_left()
                self._release_what_is_strange()
                self._wait()
        finally:
            self._listener.close()
            self._hooks.shutdown(wait=False)

    def _unfinished(self) -> bool:
        return bool(self.running or self._ended or self._hooked or self._hooks_running)

    def _wait(self) -> None:
        """Until something has ended or something may be claimed.

        With a backlog, a first end waits a moment for others: one turn per batch, not per job.
        """
        self._threshold = max(1, len(self.running) // 4)
        self._enough.clear()
        self._listening = True
        if not (self._ended or self._hooked or (self._stopping and not self._unfinished())):
            self._listener.wait(self._until_next())
        self._listening = False
        if self._backlog and 0 < len(self._ended) < self._threshold:
            self._enough.wait(LINGER)

    def _until_next(self) -> float:
        pause = self._options.sleep
        if self.running:
            pause = min(pause, WATCH_EVERY)
        if self._reporter.waiting:
            pause = min(pause, max(0.0, self._last_progress + PROGRESS_EVERY - monotonic()))
        if self._due is not None and self._asked:
            pause = min(pause, max(0.0, (self._due - self._clock()) / SECOND))
        return pause

    def _next_turn(self) -> tuple[Exchange, list[tuple[Finished, Transition]]]:
        ends = self._take_ends()
        now = monotonic()
        progress: list[ProgressWrite] = []
        if self._reporter.waiting and now >= self._last_progress + PROGRESS_EVERY:
            self._last_progress = now
            progress = self._reporter.take_changed()
        watch = bool(self.running) and now >= self._last_watch + WATCH_EVERY
        if watch:
            self._last_watch = now
        slots = {} if self._stopping else self._free()
        return Exchange(
            worker=self._worker,
            settle=[move for _, move in ends],
            progress=progress,
            token=new_token() if slots else b"",
            queues=self._options.queues,
            slots=slots,
            watch=watch,
        ), ends

    def _take_ends(self) -> list[tuple[Finished, Transition]]:
        """What has ended since the last turn, as transitions; a job with a `failed()` to call goes
        through another thread first."""
        ends: list[tuple[Finished, Transition]] = []
        now = self._clock()
        for _ in range(len(self._ended)):
            run, outcome = self._ended.popleft()
            if self.running.pop(run.job.id, None) is None:
                continue  # it was given up before
            finished = ended(run, outcome)
            move = finished.transition(self._worker, now, self._reporter)
            if move.ending is Ending.FAILED:
                self._call_failed(finished, move)
            else:
                ends.append((finished, move))
        while self._hooked:
            finished, move = self._hooked.popleft()
            del self._hooks_running[move.id]
            ends.append((finished, move))
        return ends

    def _call_failed(self, finished: Finished, move: Transition) -> None:
        self._hooks_running[move.id] = move.token
        self._hooks.submit(self._hook, finished, move)

    def _hook(self, finished: Finished, move: Transition) -> None:
        if move.ending is Ending.FAILED:
            call_failed(finished, self._runtime.scope)
        self._hooked.append((finished, move))
        self._listener.interrupt()

    def _free(self) -> dict[Isolation, int]:
        used = dict.fromkeys(self._slots, 0)
        for run in self.running.values():
            used[run_kind(run)] += 1
        free = {kind: slots.size - used[kind] for kind, slots in self._slots.items()}
        left = self._options.max_jobs - self._started if self._options.max_jobs else None
        if self._options.once:
            left = 1 - self._started
        if left is not None:
            free = {kind: min(count, left) for kind, count in free.items()}
        return {kind: count for kind, count in free.items() if count > 0}

    def _exchange(self, turn: Exchange) -> Exchanged:
        """One round trip, repeated until the store answers: settling is idempotent, and a claim
        whose answer was lost is released before another is made."""
        pause = RETRY_FIRST
        while True:
            try:
                return self._ask(turn)
            except StoreUnavailable as error:
                _log.warning("The store does not answer, trying again in %.1f s: %s", pause, error)
                sleep(pause)
                pause = min(pause * 2, RETRY_LONGEST)
                if turn.slots:
                    turn = replace(turn, token=new_token())

    def _ask(self, turn: Exchange) -> Exchanged:
        claiming = self._runtime.driver.claiming
        if self._lost_token is not None:
            claiming.release_token(self._lost_token)
        self._lost_token = turn.token or None  # until its answer is here
        asked = _monotonic_us()
        answer = claiming.exchange(turn)
        self._clock.told(answer.now, asked)
        self._lost_token = None
        return answer

    def _took(
        self, turn: Exchange, answer: Exchanged, ends: list[tuple[Finished, Transition]]
    ) -> None:
        self._due = answer.next_due
        self._asked = bool(turn.slots)
        self._backlog = len(answer.claimed) >= max(turn.slots.values(), default=1)
        if turn.watch:
            self._reporter.cancelling(answer.cancelling)
            self._call_back(answer.cancelling)
        for (finished, _), settled in zip(ends, answer.settled, strict=True):
            if settled is not Settled.DONE:
                _log.warning(
                    "%s %s was not settled: another worker has it now (%s)",
                    finished.job.name,
                    finished.ctx.job_id,
                    settled,
                )
        if ends:
            self._observer.settled(ends)
        if answer.claimed:
            self._start(answer.claimed, answer.now)
        if self._options.rest and ends:
            sleep(self._options.rest)

    def _start(self, claimed: Sequence[ClaimedJob], now: int) -> None:
        """Hand the batch over, each to its kind of slot."""
        batches: dict[Isolation, list[Run]] = {}
        started: list[Run] = []
        for job in claimed:
            self._started += 1
            try:
                run = prepare(job, self._runtime.registry, self._options, self._reporter, now)
            except Refused as why:
                self._refuse(job, why)
                continue
            batches.setdefault(run_kind(run), []).append(run)
            self.running[job.id] = run
            started.append(run)
        self._observer.started(started)
        for kind, runs in batches.items():
            self._slots[kind].start(runs)
        if self._options.once or 0 < self._options.max_jobs <= self._started:
            self.stop("once" if self._options.once else "max jobs")

    def _refuse(self, job: ClaimedJob, why: Refused) -> None:
        """A job that cannot start takes the same path, from its end."""
        finished = refused(job, why, self._reporter)
        move = finished.transition(self._worker, self._clock(), self._reporter)
        self._call_failed(finished, move)

    def _release_what_is_strange(self) -> None:
        """What is ours by the store's account, twice in a row, and not by our own: the claim's
        answer never came, and nobody else may have it while we live."""
        now = monotonic()
        if now < self._last_own + OWN_EVERY:
            return
        self._last_own = now
        claiming = self._runtime.driver.claiming
        known = {run.job.token for run in self.running.values()} | {*self._hooks_running.values()}
        try:
            strange = {token for _, token in claiming.held(self._worker)} - known
            for token in strange & self._strange:
                released = claiming.release_token(token)
                _log.warning("Released %d jobs of a claim whose answer was lost", released)
        except StoreUnavailable:
            return  # the next turn tells of it
        self._strange = strange

    def _call_back(self, job_ids: frozenset[bytes]) -> None:
        for job_id in job_ids:
            run = self.running.get(job_id)
            if run is not None:
                self._slots[run_kind(run)].call_back(run)

    def _nothing_left(self) -> None:
        if self._options.stop_when_empty:
            self.stop("empty")
        elif self._options.once:
            self.stop("once")


class _StoreTime:
    """The store's clock as its last answer told it, carried on by our own monotonic one. This
    host's own time is never compared with it.

    It may be ahead by as long as that answer took, and is never behind: a job waits no shorter
    than it was told to.
    """

    def __init__(self) -> None:
        self._ahead = now_us() - _monotonic_us()

    def __call__(self) -> int:
        return _monotonic_us() + self._ahead

    def told(self, now: int, asked: int) -> None:
        """`asked`: when, by the monotonic clock, the question was sent."""
        self._ahead = now - asked


def _monotonic_us() -> int:
    return monotonic_ns() // 1_000


def run_kind(run: Run) -> Isolation:
    """Where a run runs: what ran in a process that died runs alone from then on."""
    return Isolation.PROCESS if run.job.crashes else run.definition.isolation
