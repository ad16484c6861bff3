"""A child of the supervisor: one process that claims and runs jobs.

Started as `python -m tabur.worker.child`; what it is comes as one line of JSON on standard input,
commands follow. The end of its input means that the supervisor is gone, and then it stops too.
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
from queue import Empty, SimpleQueue
from random import uniform
from time import monotonic
from typing import Any

import msgspec

from tabur.errors import TaburError
from tabur.model.clock import to_us
from tabur.model.states import Isolation
from tabur.worker.lines import observer
from tabur.worker.load import load_app
from tabur.worker.processes import ProcessSlots
from tabur.worker.protocol import (
    EXIT_BROKEN,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_MEMORY,
    EXIT_STUCK,
    Hello,
)
from tabur.worker.pump import Pump, run_kind
from tabur.worker.reports import StoreReporter
from tabur.worker.run import interrupted
from tabur.worker.slots import LoopSlots, Slots, ThreadSlots

#: Seconds between two looks at deadlines while jobs run, and between two at memory and time.
LOOK = 0.1
LOOK_AT_MEMORY = 1.0
#: Seconds after which a thread that computes lets others go on. With Python's own 5 ms, one `def`
#: job of pure Python held its neighbours and the I/O thread down to a few dozen jobs a second.
SWITCH = 0.0005
#: Seconds that a job has to end after it was told that its time is over.
OBEY = 1.5


class Child:
    """The main thread of a child: obeys the supervisor and watches deadlines."""

    def __init__(self, hello: Hello) -> None:
        options = self._options = hello.options
        sizes = options.slots()
        self._code = EXIT_DONE
        self._said: SimpleQueue[bytes] = SimpleQueue()
        """What the supervisor says, one byte each; b"" once it is gone, b"e" when the pump ends."""
        reporter = _Reporter()
        processes = ProcessSlots(sizes[Isolation.PROCESS], hello.app, self._done, reporter)
        processes.warm(hello.warm)
        runtime = load_app(hello.app).runtime_of(hello.connection)
        reporter.inner = StoreReporter(runtime, hello.worker)
        self._pump = Pump(
            runtime, options, hello.worker, reporter.inner, observer(options, runtime.driver.name)
        )
        self._slots: Mapping[Isolation, Slots] = {
            Isolation.LOOP: LoopSlots(sizes[Isolation.LOOP], runtime.scope, self._done),
            Isolation.THREAD: ThreadSlots(sizes[Isolation.THREAD], runtime.scope, self._done),
            Isolation.PROCESS: processes,
        }
        self._worker = threading.Thread(target=self._work, name="tabur-io", daemon=True)
        self._ends_at = (
            monotonic() + options.max_time * uniform(1.0, 1.1) if options.max_time else None
        )
        self._memory = options.memory * uniform(0.95, 1.0) if options.memory else None
        self._grace_ends: float | None = None

    def run(self) -> int:
        """Until the pump has ended, or the grace is over. Answers the exit code."""
        self._worker.start()
        threading.Thread(target=self._listen, name="tabur-supervisor", daemon=True).start()
        looked_at_memory = 0.0
        while self._worker.is_alive():
            self._obey(LOOK if self._pump.running else 0.5)
            now = monotonic()
            self._end_overdue(now)
            if now - looked_at_memory > LOOK_AT_MEMORY:
                looked_at_memory = now
                self._look_at_limits(now)
            if self._grace_ends is not None and now > self._grace_ends:
                self._cut_off()
                break
        return self._code

    def _work(self) -> None:
        try:
            self._pump.run(self._slots)
        except TaburError as error:
            _say(error)
            self._code = EXIT_BROKEN
        except BaseException:
            traceback.print_exc()
            self._code = EXIT_FAILED
        finally:
            self._said.put(b"e")

    def _done(self, *end: Any) -> None:
        self._pump.done(*end)

    def _stop(self, reason: str) -> None:
        if self._grace_ends is None:
            self._grace_ends = monotonic() + self._options.grace
        self._pump.stop(reason)

    def _obey(self, pause: float) -> None:
        """Do what the supervisor says within `pause` seconds."""
        try:
            said = self._said.get(timeout=pause)
        except Empty:
            return
        match said:
            case b"":
                self._stop("supervisor gone")
            case b"s":
                self._stop("interrupted")
            case b"n":
                self._grace_ends = monotonic()

    def _listen(self) -> None:
        while said := os.read(0, 1):
            self._said.put(said)
        self._said.put(b"")

    def _end_overdue(self, now: float) -> None:
        for run in list(self._pump.running.values()):
            if run.deadline is None or now < run.deadline:
                continue
            if not run.timed_out:
                run.timed_out = True
                self._slots[run_kind(run)].end(run)
            elif now > run.deadline + OBEY and run_kind(run) is not Isolation.PROCESS:
                self._give_up(run)

    def _give_up(self, run: Any) -> None:
        """It does not end: settle it, and replace this process; its next attempt starts when this
        process is gone for certain."""
        logging.getLogger("tabur.worker").error(
            "%s %s does not end %.0f s after its timeout; this process is replaced",
            run.job.name,
            run.ctx.job_id,
            OBEY,
        )
        run.deadline = None
        self._code = EXIT_STUCK
        again = to_us(self._options.grace + 2 * OBEY)
        self._pump.done(run, interrupted(run, retry_after=again))
        self._stop("timed out")

    def _look_at_limits(self, now: float) -> None:
        if self._ends_at is not None and now > self._ends_at:
            self._stop("max time")
        if self._memory is not None and _rss_mb() > self._memory:
            self._code = self._code or EXIT_MEMORY
            self._stop("memory")

    def _cut_off(self) -> None:
        """The grace is over: end what can be ended and hand it back; the rest dies with this
        process, and the supervisor releases it."""
        for run in list(self._pump.running.values()):
            run.cut_off = True
            self._slots[run_kind(run)].end(run)
        self._worker.join(OBEY)


class _Reporter:
    """Stands in until the app is loaded: the first process of jobs is started before."""

    inner: StoreReporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def main() -> None:
    # The supervisor decides what a signal means; a stray one must not end a job half done.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return
        line += byte
    hello = msgspec.json.decode(line, type=Hello)
    sys.setswitchinterval(SWITCH)
    sys.path[:0] = [path for path in hello.paths if path not in sys.path]
    try:
        code = Child(hello).run()
    except TaburError as error:
        _say(error)
        code = EXIT_BROKEN
    for out in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more
            out.flush()
    # Threads that do not end must not hold the process.
    os._exit(code)


def _say(error: BaseException) -> None:
    sys.stderr.write(f"tabur: {error}\n")


def _rss_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1_000_000


if __name__ == "__main__":
    main()
