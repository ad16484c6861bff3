"""A child of the supervisor: one process that claims and runs jobs.

Started as `python -m tabur.worker.child`; what it is comes as one line of JSON on standard input,
orders follow. The end of its input means that the supervisor is gone, and then it stops too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from math import inf
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import msgspec

from tabur.errors import TaburError
from tabur.jobs.logs import install_logging
from tabur.model.clock import to_us
from tabur.model.ids import id_text
from tabur.model.states import Isolation
from tabur.worker.board import Board, Doing
from tabur.worker.load import load_app
from tabur.worker.protocol import (
    EXIT_BROKEN,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_MEMORY,
    EXIT_STUCK,
    Hello,
    Order,
    What,
)
from tabur.worker.running.channel import Hello as AheadOfJobs
from tabur.worker.running.hooks import PATIENCE
from tabur.worker.running.lines import observer
from tabur.worker.running.processes import ProcessSlots
from tabur.worker.running.pump import Pump, run_kind
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import interrupted
from tabur.worker.running.slots import LoopSlots, Slots, ThreadSlots
from tabur.worker.running.telling import Teller
from tabur.worker.stacks import dump_stacks_on_signal
from tabur.worker.supervision.folder import board_above
from tabur.worker.supervision.verdict import EXIT_TIME

_log = logging.getLogger("tabur.worker")

#: Seconds between two looks at deadlines while jobs run, and between two at memory and time.
LOOK = 0.1
LOOK_AT_MEMORY = 1.0
#: Seconds after which a thread that computes lets others go on. With Python's own 5 ms, one `def`
#: job of pure Python held its neighbours and the I/O thread down to a few dozen jobs a second.
SWITCH = 0.0005
#: Seconds that a job has to end after it was told that its time is over. Then another process
#: takes this one's place, and has to load the app: all this within two seconds.
OBEY = 0.5
#: Seconds that a job has to end after it was cut off.
PART = 1.5
#: Why a process ends that is one too many.
NOT_NEEDED = "not needed any more"
#: Jobs named when a stop waits for them.
NAMED = 5


class Child:
    """The main thread of a child: obeys the supervisor and watches deadlines."""

    def __init__(self, hello: Hello, board: Board, orders: int) -> None:
        """`orders`: the file descriptor that they come from."""
        options = self._options = hello.options
        sizes = options.slots()
        self._code = EXIT_DONE
        self._source = orders
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        """What the supervisor says; None when there is something else to look at."""
        self._board = board
        self._board.looked(monotonic())
        self._above = board_above(board)
        self._unbeaten = False
        """At the last look, its supervisor had not beaten for too long."""
        reporter = _Reporter()
        ahead = AheadOfJobs(hello.app, sys.path, options.output, options.log_level)
        processes = ProcessSlots(sizes[Isolation.PROCESS], ahead, self._done, reporter)
        processes.warm(hello.warm)
        runtime = load_app(hello.app).runtime_of(hello.connection)
        install_logging(options.output, options.log_level)
        self._reporter = reporter.inner = StoreReporter(runtime, hello.worker)
        self._teller = Teller(runtime.listeners, runtime.driver.name, hello.worker, options.queues)
        self._pump = Pump(
            runtime,
            options,
            hello.worker,
            reporter.inner,
            self._teller.beside(observer(options, runtime.driver.name)),
            board=self._board,
        )
        self._slots: Mapping[Isolation, Slots] = {
            Isolation.LOOP: LoopSlots(sizes[Isolation.LOOP], runtime.scope, self._done),
            Isolation.THREAD: ThreadSlots(sizes[Isolation.THREAD], runtime.scope, self._done),
            Isolation.PROCESS: processes,
        }
        self._worker = threading.Thread(target=self._work, name="tabur-io", daemon=True)
        self._ends_at = monotonic() + options.max_time if options.max_time else None
        self._stopping = False
        self._grace_ends: float | None = None

    def run(self) -> int:
        """Until the pump has ended, or the grace is over. Answers the exit code."""
        threading.Thread(target=self._listen, name="tabur-supervisor", daemon=True).start()
        looked_at_memory = 0.0
        while not self._is_over():
            self._obey(LOOK if self._pump.running else 0.5)
            now = monotonic()
            self._board.looked(now)
            self._end_overdue(now)
            if now - looked_at_memory > LOOK_AT_MEMORY:
                looked_at_memory = now
                self._look_at_limits(now)
                self._look_up(now)
            if self._grace_ends is not None and now > self._grace_ends:
                self._cut_off()
                break
        return self._code

    def dump_processes(self) -> None:
        """Let the processes of jobs print their stacks."""
        processes = self._slots[Isolation.PROCESS]
        assert isinstance(processes, ProcessSlots)
        processes.dump()

    def _is_over(self) -> bool:
        began = self._worker.ident is not None
        return not self._worker.is_alive() if began else self._stopping

    def _work(self) -> None:
        self._teller.begin()
        try:
            self._pump.run(self._slots)
        except TaburError as error:
            _say(error)
            self._code = EXIT_BROKEN
        except BaseException:
            traceback.print_exc()
            self._code = EXIT_FAILED
        finally:
            self._board.does(Doing.ENDING, self._pump.stop_reason or "")
            self._teller.close(self._pump.stop_reason or "")
            self._orders.put(None)

    def _done(self, *end: Any) -> None:
        self._pump.done(*end)

    def _stop(self, reason: str, *, grace: float | None = None) -> None:
        if self._grace_ends is None:
            grace = self._options.grace if grace is None else grace
            self._grace_ends = monotonic() + grace
            self._board.ends_by(self._grace_ends + PART)
        self._stopping = True
        replaced = self._code in (EXIT_STUCK, EXIT_MEMORY)
        self._board.does(Doing.RETIRING if replaced else Doing.ENDING, reason)
        self._reporter.stopping = True
        self._pump.stop(reason)
        self._slots[Isolation.PROCESS].stop_soon()

    def _drain(self) -> None:
        """As `_stop`, but nothing is cut off, and no job is asked to come to an end."""
        self._stopping = True
        self._board.does(Doing.ENDING, NOT_NEEDED)
        self._pump.stop(NOT_NEEDED)

    def _obey(self, pause: float) -> None:
        """Do what the supervisor says within `pause` seconds."""
        try:
            order = self._orders.get(timeout=pause)
        except Empty:
            return
        match order:
            case Order(What.WORK, leave):
                self._pump.leave(leave)
                if self._worker.ident is None:
                    self._board.does(Doing.WORKING)
                    self._worker.start()
            case Order(What.DRAIN):
                self._drain()
            case Order(What.STOP):
                self._stop("interrupted")
                self._say_what_runs()
            case Order(What.NOW):
                self._stop("interrupted")
                self._grace_ends = monotonic()

    def _listen(self) -> None:
        with os.fdopen(self._source, "rb") as orders:
            for line in orders:
                self._orders.put(msgspec.json.decode(line, type=Order))
        # The supervisor is gone, nobody beats: others will soon take what runs here.
        left = min(self._options.grace, max(0.0, self._options.adrift - PART))
        self._stop("supervisor gone", grace=left)
        self._orders.put(None)

    def _say_what_runs(self) -> None:
        if self._options.output != "lines":
            return
        runs = [run.job for run in self._pump.running.values()]
        runs += [call.job for call in self._pump.hooks.first()]
        if not runs:
            return
        named = ", ".join(f"{job.name} {id_text(job.id)}" for job in runs[:NAMED])
        more = f" and {len(runs) - NAMED} more" if len(runs) > NAMED else ""
        jobs = "job" if len(runs) == 1 else "jobs"
        _write(
            f"  Waiting up to {self._options.grace:g} s for {len(runs)} {jobs}: {named}{more}. "
            "A second signal ends them now; they run again.\n"
        )

    def _end_overdue(self, now: float) -> None:
        for run in list(self._pump.running.values()):
            deadline = run.deadline  # None from the moment at which it ends
            if deadline is None or now < deadline:
                continue
            if not run.timed_out:
                run.timed_out = True
                self._slots[run_kind(run)].end(run)
            elif now > deadline + OBEY and run_kind(run) is not Isolation.PROCESS:
                self._give_up(run)
        self._give_up_hooks(now)

    def _give_up(self, run: Any) -> None:
        """It does not end: settle it, and replace this process; its next attempt starts when this
        process is gone for certain."""
        _log.error(
            "%s %s does not end %.1f s after its timeout; this process is replaced",
            run.job.name,
            run.ctx.job_id,
            OBEY,
        )
        run.deadline = None
        # By then this process is gone, be it killed since it does not end itself.
        again = to_us(self._options.grace + EXIT_TIME + 2 * PART)
        self._pump.done(run, interrupted(run, retry_after=again))
        self._code = EXIT_STUCK
        self._stop("timed out")

    def _give_up_hooks(self, now: float) -> None:
        """The same of what hangs in `failed()`."""
        for finished in self._pump.hooks.give_up(now):
            _log.error(
                "failed() of %s %s has not ended after %.0f s; this process is replaced",
                finished.job.name,
                finished.ctx.job_id,
                PATIENCE,
            )
            self._code = EXIT_STUCK
            self._stop("timed out")

    def _look_at_limits(self, now: float) -> None:
        if self._ends_at is not None and now > self._ends_at:
            self._stop("max time")
        limit = self._options.memory
        if limit and not self._stopping and _rss_mb() > limit:
            self._code = self._code or EXIT_MEMORY
            self._stop("memory")

    def _look_up(self, now: float) -> None:
        """A supervisor that stands still (Ctrl-Z) beats for nobody, and tells nobody to end: others
        will soon take what runs here. Who was stopped together with it gives it a second."""
        beaten = self._above.seen().turned_at if self._above is not None else 0.0
        latest = (self._options.adrift + self._options.lost) / 2
        was, self._unbeaten = self._unbeaten, beaten > 0 and now - beaten > latest
        if was and self._unbeaten:
            self._code = self._code or EXIT_STUCK
            self._stop("its supervisor does not beat")
            self._grace_ends = now

    def _cut_off(self) -> None:
        """The grace is over: end what can be ended and hand it back; the rest dies with this
        process, and the supervisor releases it."""
        for run in list(self._pump.running.values()):
            run.cut_off = True
            self._slots[run_kind(run)].end(run)
        self._pump.hooks.give_up(inf)
        if self._worker.ident is not None:
            self._worker.join(PART)


class _Reporter:
    """Stands in until the app is loaded: the first process of jobs is started before."""

    inner: StoreReporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def main() -> None:
    # The supervisor decides what a signal means; a stray one must not end a job half done.
    # By a handler: to be ignored is inherited, and what a job starts could not be ended.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _pass_over)
    child: Child | None = None

    def dump_processes() -> None:
        if child is not None:
            child.dump_processes()

    dump_stacks_on_signal(dump_processes)
    orders = _take_input()
    line = b""
    while not line.endswith(b"\n"):  # by bytes: what follows is read elsewhere
        byte = os.read(orders, 1)
        if not byte:
            return
        line += byte
    hello = msgspec.json.decode(line, type=Hello)
    sys.setswitchinterval(SWITCH)
    sys.path[:0] = [path for path in hello.paths if path not in sys.path]
    board = Board(Path(hello.board))
    try:
        child = Child(hello, board, orders)
        code = child.run()
    except TaburError as error:
        _say(error)
        code = EXIT_BROKEN
    for out in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            out.flush()
    board.does(Doing.ENDED)
    # Threads that do not end must not hold the process.
    os._exit(code)


def _pass_over(number: int, frame: Any) -> None:
    pass


def _take_input() -> int:
    """Standard input under another number: what jobs start would read the orders away."""
    orders = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def _say(error: BaseException) -> None:
    _write(f"tabur: {error}\n")


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone
        sys.stderr.write(text)


def _rss_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1_000_000


if __name__ == "__main__":
    main()
