"""The I/O thread of a child: settles what has ended and claims what is free, turn by turn.

`step` is one turn and answers how long to wait for the next; `run` is nothing but steps and waits.
So a simulation can drive many of them with a clock of its own, by the same code.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from time import monotonic, sleep
from typing import Protocol

from msgspec.structs import replace

from tabur.drivers.contract import Exchange, Exchanged, ProgressWrite
from tabur.errors import StoreUnavailable
from tabur.model.bonds import Bonds
from tabur.model.clock import SECOND, apart
from tabur.model.ids import new_token
from tabur.model.outcome import Ending, Outcome, Settled, Transition
from tabur.model.records import ALL_QUEUES, ClaimedJob
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running.bound import begin, bonds_of, called_off, off
from tabur.worker.running.finish import Finished, ended, handed_back, refused
from tabur.worker.running.hooks import Call, Hooks
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import Refused, Run, prepare
from tabur.worker.running.slots import Slots
from tabur.worker.running.store_time import StoreTime, by_store
from tabur.worker.running.unheard import Unheard
from tabur.worker.running.unknown import Patience
from tabur.worker.runtime import Runtime

_log = logging.getLogger("tabur.worker")

#: Seconds between two writes of progress, and between two looks at who is to be cancelled.
PROGRESS_EVERY = 1.0
WATCH_EVERY = 1.0
#: Seconds that a first end waits for others, while there is more to claim.
LINGER = 0.002
#: Seconds between tries when the store cannot be reached: first and longest.
RETRY_FIRST, RETRY_LONGEST = 0.1, 5.0

_Ends = list[tuple[Finished, Transition]]


class Observer(Protocol):
    """Watches; what it prints is its own affair."""

    def started(self, runs: Sequence[Run]) -> None: ...

    def settled(self, ends: Sequence[tuple[Finished, Transition]]) -> None: ...


class Pump:
    """Moves jobs between the store and the slots, and nothing else; runs in one thread.

    `clock` (seconds, monotonic) and `hooks` (where `failed()` of jobs is called) are for
    simulations.
    """

    def __init__(
        self,
        runtime: Runtime,
        options: WorkOptions,
        worker: str,
        reporter: StoreReporter,
        observer: Observer,
        *,
        board: Board,
        clock: Callable[[], float] = monotonic,
        hooks: Executor | None = None,
    ) -> None:
        self._runtime = runtime
        self._options = options
        self._worker = worker
        self._reporter = reporter
        self._observer = observer
        self._board = board
        self._clock = clock
        self._listener = runtime.driver.listen()
        self._slots: Mapping[Isolation, Slots] = {}
        self.running: dict[bytes, Run] = {}
        """What runs now, by id; written by this thread, read by the watch."""
        self._ended: deque[tuple[Run, Outcome]] = deque()
        self._decided: _Ends = []
        """What the next turn is to settle."""
        self.hooks = Hooks(
            runtime.scope, clock=clock, wake=self._listener.interrupt, executor=hooks
        )
        self._store_time = StoreTime(clock)
        self._patience = Patience(options.unknown_for, clock)
        self._asking: tuple[Exchange, _Ends] | None = None
        """A turn that the store has not answered yet."""
        self._retry = 0.0
        self._due: int | None = None
        self._asked = False
        """The last turn had slots free: what becomes due can be claimed."""
        self._backlog = False
        """The last turn got all it asked for: there is probably more."""
        self._enough = threading.Event()
        self._threshold = 1
        self._listening = False
        self._stopping = False
        self._leave: frozenset[str] = frozenset()
        self._lost_token: bytes | None = None
        """Of a claim whose answer did not come."""
        self._bonds: dict[bytes, Bonds] = {}
        """Of what was claimed last."""
        self._called_off: frozenset[bytes] = frozenset()
        """Of that, jobs whose batch was cancelled."""
        self._started = self._ended_count = 0
        self._busy = 0
        now = clock()
        self._last_progress = self._last_watch = -WATCH_EVERY
        self._last_found = now
        self._unheard = Unheard(runtime.driver.claiming, worker, clock)
        self.stop_reason: str | None = None

    # from other threads

    def done(self, run: Run, outcome: Outcome) -> None:
        """A slot tells of an end. Cheap: the pump is woken once per turn, not once per job."""
        run.deadline = None  # it is over, however long the store takes to hear of it
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

    def leave(self, queues: Sequence[str]) -> None:
        """Claim nothing from these, which are paused, until the next call."""
        self._leave = frozenset(queues)
        self._listener.interrupt()

    # the thread

    def run(self, slots: Mapping[Isolation, Slots]) -> None:
        """Work until stopped and nothing runs any more. Raises what makes work impossible, such as
        SchemaMissing."""
        self.begin(slots)
        try:
            while (pause := self.step()) is not None:
                self._wait(pause)
        finally:
            self._listener.close()
            self.hooks.close()

    def begin(self, slots: Mapping[Isolation, Slots]) -> None:
        self._slots = slots

    def step(self) -> float | None:
        """One turn with the store: one round trip. Answers the seconds after which the next one is
        due, if nothing ends or is heard before; None where all is done.

        A turn that the store does not answer is asked again: settling is idempotent, and a claim
        whose answer was lost is released before another is made.
        """
        if self._asking is None:
            if self._stopping and not self._unfinished():
                return None
            self._asking = self._next_turn()
        else:
            self._asking = self._once_more(*self._asking)
        turn, ends = self._asking
        try:
            answer = self._ask(turn)
        except StoreUnavailable as error:
            self._retry = min(max(self._retry * 2, RETRY_FIRST), RETRY_LONGEST)
            _log.warning(
                "The store does not answer, trying again in %.1f s: %s", self._retry, error
            )
            return self._retry
        self._asking, self._retry = None, 0.0
        self._took(turn, answer, ends)
        if not self._unfinished():
            self._nothing_left(claimed=bool(answer.claimed))
        if not answer.claimed:
            self._show()
        self._unheard.look(self._tokens)
        return self._until_next()

    def _unfinished(self) -> bool:
        return bool(self.running or self._ended or self._decided or self.hooks)

    def _wait(self, pause: float) -> None:
        """Until something has ended or something may be claimed.

        With a backlog, a first end waits a moment for others: one turn per batch, not per job.
        """
        if self._asking is not None:
            sleep(pause)  # whoever could wake us waits for the same store
            return
        self._threshold = max(1, len(self.running) // 4)
        self._enough.clear()
        self._listening = True
        waiting = self._ended or self._decided or self.hooks.have_ended
        if not (waiting or (self._stopping and not self._unfinished())):
            self._listener.wait(pause)
        self._listening = False
        if self._backlog and 0 < len(self._ended) < self._threshold:
            self._enough.wait(LINGER)

    def _until_next(self) -> float:
        pause = self._options.sleep
        if self.running:
            pause = min(pause, WATCH_EVERY)
        if self._reporter.waiting:
            pause = min(pause, max(0.0, self._last_progress + PROGRESS_EVERY - self._clock()))
        if self._due is not None and self._asked:
            pause = min(pause, max(0.0, (self._due - self._store_time()) / SECOND))
        return pause

    def _next_turn(self) -> tuple[Exchange, _Ends]:
        ends = self._take_ends()
        now = self._clock()
        progress: list[ProgressWrite] = []
        if self._reporter.waiting and now >= self._last_progress + PROGRESS_EVERY:
            self._last_progress = now
            progress = self._reporter.take_changed()
        watch = bool(self.running) and now >= self._last_watch + WATCH_EVERY
        if watch:
            self._last_watch = now
        queues = self._queues()
        slots = {} if self._stopping or not queues else self._free()
        return Exchange(
            worker=self._worker,
            settle=[move for finished, move in ends if not finished.outcome.settled],
            progress=progress,
            token=new_token() if slots else b"",
            queues=queues,
            slots=slots,
            watch=watch,
        ), ends

    def _once_more(self, turn: Exchange, ends: _Ends) -> tuple[Exchange, _Ends]:
        """A turn that was not answered. Not under the token of before: what was claimed under that
        is to be released. Nor from queues that have been paused meanwhile."""
        if not turn.slots:
            return turn, ends
        queues = self._queues()
        slots = {} if self._stopping or not queues else turn.slots
        token = new_token() if slots else b""
        return replace(turn, token=token, queues=queues, slots=slots), ends

    def _queues(self) -> Sequence[str]:
        queues, leave = self._options.queues, self._leave
        if not leave:
            return queues
        return () if ALL_QUEUES in leave else [each for each in queues if each not in leave]

    def _take_ends(self) -> _Ends:
        """What has ended since the last turn, as transitions."""
        now = self._store_time()
        for _ in range(len(self._ended)):
            run, outcome = self._ended.popleft()
            if self.running.pop(run.job.id, None) is None:
                continue  # it was given up before
            self._ended_count += 1
            self._busy += outcome.ended_at - (outcome.started_at or outcome.ended_at)
            finished = ended(run, by_store(outcome, apart(now)))
            move = finished.transition(self._worker, now, self._reporter)
            self._conclude(finished, move)
        ends = [*self._decided, *self.hooks.take()]
        self._decided.clear()
        return ends

    def _conclude(self, finished: Finished, move: Transition) -> None:
        """It is settled with the next turn; what has failed for good hears of it first."""
        if move.ending is Ending.FAILED and finished.is_to_be_told:
            self.hooks.add(finished, move)
            self._show_what_runs()  # before it begins: it may end the process
            self.hooks.begin()
        else:
            self._decided.append((finished, move))

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

    def _ask(self, turn: Exchange) -> Exchanged:
        claiming = self._runtime.driver.claiming
        if self._lost_token is not None:
            claiming.release_token(self._lost_token)
        self._lost_token = turn.token or None  # until its answer is here
        asked = self._clock()
        answer = claiming.exchange(turn)
        self._bonds = bonds_of(answer.claimed)
        self._called_off = called_off(self._runtime.driver, self._bonds)
        if turn.slots and self._clock() - asked > self._options.adrift:
            # This process stood still, or the store did. Others may run by now what it claimed.
            raise StoreUnavailable("Its answer came too late to begin what it claimed.")
        self._store_time.told(answer.now, asked)
        self._lost_token = None
        return answer

    def _took(self, turn: Exchange, answer: Exchanged, ends: _Ends) -> None:
        self._due = answer.next_due
        self._asked = bool(turn.slots)
        self._backlog = len(answer.claimed) >= max(turn.slots.values(), default=1)
        if turn.watch:
            self._reporter.cancelling(answer.cancelling)
            self._call_back(answer.cancelling)
        sent = (finished for finished, _ in ends if not finished.outcome.settled)
        for finished, settled in zip(sent, answer.settled, strict=True):
            if settled is not Settled.DONE:
                _log.warning(
                    "%s %s was not settled: another worker has it now (%s)",
                    finished.job.name,
                    finished.ctx.job_id,
                    settled,
                )
        if ends:
            self._observer.settled(ends)
        if answer.claimed and self._stopping:
            self._hand_back(answer.claimed)
        elif answer.claimed:
            self._start(answer.claimed, answer.now)
        if self._options.rest and ends:
            sleep(self._options.rest)

    def _start(self, claimed: Sequence[ClaimedJob], now: int) -> None:
        """Hand the batch over, each to its kind of slot."""
        batches: dict[Isolation, list[Run]] = {}
        started: list[Run] = []
        for job in claimed:
            self._started += 1
            if job.id in self._called_off:
                self._refuse(job, off(job))
                continue
            try:
                run = prepare(job, self._runtime.registry, self._options, self._reporter, now)
            except Refused as why:
                self._refuse(job, why)
                continue
            batches.setdefault(run_kind(run), []).append(run)
            self.running[job.id] = run
            started.append(run)
        self._free_keys(started)
        self._observer.started(started)
        self._show()  # before they start: one may let no other thread run from then on
        for kind, runs in batches.items():
            self._slots[kind].start(runs)
        if self._options.once or 0 < self._options.max_jobs <= self._started:
            self.stop("once" if self._options.once else "max jobs")

    def _free_keys(self, runs: Sequence[Run]) -> None:
        """Those that are held until their jobs begin. Where the store does not answer just now,
        they are free when the jobs have ended."""
        try:
            begin(self._runtime.driver, [run.job for run in runs], self._bonds)
        except StoreUnavailable as error:
            _log.warning("Unique keys are held until their jobs have ended: %s", error)

    def _refuse(self, job: ClaimedJob, why: Refused) -> None:
        """A job that cannot start takes the same path, from its end."""
        finished = refused(job, self._patience.judged(job, why), self._reporter)
        move = finished.transition(self._worker, self._store_time(), self._reporter)
        self._conclude(finished, move)

    def _hand_back(self, claimed: Sequence[ClaimedJob]) -> None:
        """What came while we were told to stop: others may start it at once."""
        for job in claimed:
            finished = handed_back(job, self._reporter)
            move = finished.transition(self._worker, self._store_time(), self._reporter)
            self._conclude(finished, move)

    def _show(self) -> None:
        """What others may see of us."""
        self._board.turned(self._clock())
        self._board.counts(started=self._started, ended=self._ended_count, busy=self._busy / SECOND)
        self._show_what_runs()

    def _show_what_runs(self) -> None:
        now = self._clock()
        shared: list[Run | Call] = [*self.hooks.first()]
        alone: list[Run | Call] = []
        for run in self.running.values():
            (alone if run_kind(run) is Isolation.PROCESS else shared).append(run)
        runs = [*shared, *alone]
        self._board.runs(
            [run.job.id for run in runs], [run.ends_at(now) for run in runs], shared=len(shared)
        )

    def _tokens(self) -> set[bytes]:
        """Of all claims that we know of."""
        running = {run.job.token for run in self.running.values()}
        return running | self.hooks.tokens | {move.token for _, move in self._decided}

    def _call_back(self, job_ids: frozenset[bytes]) -> None:
        for job_id in job_ids:
            run = self.running.get(job_id)
            if run is not None:
                self._slots[run_kind(run)].call_back(run)

    def _nothing_left(self, *, claimed: bool) -> None:
        options, now = self._options, self._clock()
        if claimed:
            self._last_found = now
        if options.stop_when_empty:
            self.stop("empty")
        elif options.once:
            self.stop("once")
        elif 0 < options.stop_when_empty_for <= now - self._last_found:
            self.stop(f"empty for {options.stop_when_empty_for:g} s")


def run_kind(run: Run) -> Isolation:
    """Where a run runs: what ran in a process that died runs alone from then on."""
    return Isolation.PROCESS if run.job.crashes else run.definition.isolation
