"""Process slots: jobs in warm processes of their own, each killed alone when its time is over."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, sleep

from tabur.errors import PayloadError, TaburError
from tabur.jobs.context import Reporter
from tabur.model.clock import now_us, to_us
from tabur.model.codec import describe
from tabur.model.outcome import Ended as EndedHow
from tabur.model.outcome import Outcome
from tabur.worker.load import LOADING
from tabur.worker.protocol import said
from tabur.worker.running.channel import (
    Attach,
    Attached,
    CancelRun,
    Channel,
    Ended,
    Hello,
    Ready,
    Reported,
    Start,
    StopSoon,
)
from tabur.worker.running.run import JobCrashed, Run, interrupted
from tabur.worker.running.slots import Done
from tabur.worker.stacks import stacks_later

_log = logging.getLogger("tabur.worker")

#: Seconds between SIGTERM and SIGKILL for a job that is over its time.
KILL_AFTER = 1.0
#: Seconds before another one is tried, when a process could not be started, or not load the app.
START_PAUSE = 2.0
#: Runs after which a process is replaced, so that a leak in a job stays small.
RECYCLE_AFTER = 200


class ProcessSlots:
    """At most `size` processes, each with a thread here that speaks with it. Some are started
    ahead, more when they are needed; an idle one is used again."""

    def __init__(self, size: int, hello: Hello, done: Done, reporter: Reporter) -> None:
        self.size = size
        self._hello = hello
        self._done = done
        self._reporter = reporter
        self._waiting: SimpleQueue[Run | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._processes: set[JobProcess] = set()
        self._idle = 0
        self._lock = threading.Lock()
        self._closing = False

    def warm(self, count: int) -> None:
        """Start processes now: they load the app while the child loads its own."""
        self._grow(count)

    def start(self, runs: Sequence[Run]) -> None:
        with self._lock:
            missing = len(runs) + self._waiting.qsize() - self._idle
        self._grow(missing)
        for run in runs:
            self._waiting.put(run)

    def end(self, run: Run) -> None:
        process: JobProcess | None = run.handle
        if process is not None:
            process.end(run)

    def call_back(self, run: Run) -> None:
        process: JobProcess | None = run.handle
        if process is not None:
            with contextlib.suppress(OSError):
                process.channel.send(CancelRun())

    def stop_soon(self) -> None:
        for process in list(self._processes):
            with contextlib.suppress(OSError):
                process.channel.send(StopSoon())

    def dump(self) -> None:
        """Let each print its stacks."""
        for process in list(self._processes):
            process.dump()

    def close(self) -> None:
        self._closing = True
        for _ in self._threads:
            self._waiting.put(None)
        for process in list(self._processes):
            process.kill()

    def _grow(self, by: int) -> None:
        for _ in range(min(by, self.size - len(self._threads))):
            thread = threading.Thread(target=self._work, name="tabur-process", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        process: JobProcess | None = None
        while not self._closing:
            if process is None or process.worn:
                if process is not None:
                    self._drop(process)
                process = self._new()
                if process is None:
                    continue
            with self._lock:
                self._idle += 1
            run = self._waiting.get()
            with self._lock:
                self._idle -= 1
            if run is None:
                break
            if process.worn:  # it was killed while it had nothing to do: no job is to blame
                self._waiting.put(run)
                continue
            outcome = process.perform(run, self._reporter)
            if not self._closing:
                self._done(run, outcome)
        if process is not None:
            self._drop(process)

    def _new(self) -> JobProcess | None:
        """None where the machine has no room for one: no memory, no file left. Then what waits for
        it is handed back, and another is tried later."""
        try:
            process = JobProcess(self._hello)
        except OSError as error:
            _log.error("No process for jobs can be started, trying again: %s", error)
            with contextlib.suppress(Empty):
                run = self._waiting.get(timeout=START_PAUSE)
                if run is not None:
                    pause = to_us(START_PAUSE)
                    self._done(run, Outcome(EndedHow.HANDED_BACK, None, now_us(), delay=pause))
            return None
        self._processes.add(process)
        return process

    def _drop(self, process: JobProcess) -> None:
        process.close()
        self._processes.discard(process)


class JobProcess:
    """One process for jobs, in a process group of its own."""

    def __init__(self, hello: Hello) -> None:
        with stacks_later():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tabur.worker.isolated"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=_OWN_GROUP,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.channel = Channel(self._process.stdout, self._process.stdin)
        self._runs = 0
        self._run: Run | None = None
        self._guard = threading.Lock()
        self._dead = False
        self._loaded = False
        with contextlib.suppress(OSError):
            self._process.stdin.write(hello.line())
            self._process.stdin.flush()

    @property
    def worn(self) -> bool:
        return self._dead or self._runs >= RECYCLE_AFTER or self._process.poll() is not None

    def perform(self, run: Run, reporter: Reporter) -> Outcome:
        """Run one job; its timeout counts from here, or from when the process has loaded the app.
        Ends when the job or the process has ended."""
        self._runs += 1
        run.started_at = now_us()
        if run.timeout:
            run.deadline = monotonic() + run.timeout + (0.0 if self._loaded else LOADING)
        run.handle = self
        self._run = run
        try:
            backing = reporter.backing
            start = Start(run.job, run.timeout, backing.worker, backing.connection)
            self.channel.send(start)
            while (message := self.channel.receive()) is not None:
                match message:
                    case Ready():
                        self._loaded = True
                        run.started_at = now_us()
                        if run.timeout:
                            run.deadline = monotonic() + run.timeout
                    case Reported(progress):
                        run.ctx.last_progress = progress
                        reporter.progress(run.ctx)
                    case Attach():
                        self.channel.send(_attach(run, message, reporter))
                    case Ended(outcome):
                        ending = run.is_ending and not outcome.settled
                        return interrupted(run) if ending else outcome
        except OSError:
            pass  # its end of the pipe is closed: it is gone
        finally:
            with self._guard:
                run.handle = self._run = None
        return self._gone(run)

    def end(self, run: Run) -> None:
        """Ask it to end, then kill it with all that it has started. It runs no other job: where
        `run` has just ended, the next one would be told to end in its place."""
        with self._guard:
            if self._run is not run:
                return
            self._dead = True
        _signal_group(self._process, "SIGTERM")
        threading.Timer(KILL_AFTER, self.kill).start()

    def dump(self) -> None:
        if self._process.poll() is None:
            # By no buffer: a signal handler calls this, in the midst of whatever else is written.
            os.write(2, b"  Stacks of the process of jobs %d:\n" % self._process.pid)
            self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        self._dead = True
        _signal_group(self._process, "SIGKILL")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(OSError):
            self.channel.close()

    def close(self) -> None:
        """For who speaks with it: nobody may be reading its answer."""
        self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _gone(self, run: Run) -> Outcome:
        self.kill()
        code = self._process.returncode or 0
        if run.ctx.backing.has_completed(run.job.id, run.job.token):
            _log.warning(
                "%s %s completed in its own transaction; then its process ended (%s)",
                run.job.name,
                run.ctx.job_id,
                said(code),
            )
            return Outcome(EndedHow.COMPLETED, run.started_at, now_us(), settled=True)
        if not self._loaded:
            # The app could not be loaded: that is no fault of this job, which has not begun.
            if not run.cut_off:
                self._say_why_not_loaded(run, code)
                sleep(START_PAUSE)
            return Outcome(EndedHow.HANDED_BACK, None, now_us())
        if run.is_ending:
            return interrupted(run)
        run.error = JobCrashed(f"Its process ended while it ran ({said(code)}).")
        return Outcome(EndedHow.CRASHED, run.started_at, now_us(), error=describe(run.error))

    @staticmethod
    def _say_why_not_loaded(run: Run, code: int) -> None:
        if run.timed_out:
            _log.error("A process for jobs has not loaded the app within %.0f s", LOADING)
        else:
            _log.error(
                "A process for jobs ended before it had loaded the app (%s): its error stands "
                "above. New code on disk? Restart the workers: tabur queue:restart",
                said(code),
            )


def _attach(run: Run, message: Attach, reporter: Reporter) -> Attached:
    content = message.content if message.path is None else Path(message.path)
    try:
        return Attached(reporter.attach(run.ctx, content, message.name, message.media_type))
    except PayloadError as error:
        return Attached(0, str(error))
    except (TaburError, OSError) as error:
        return Attached(0, None if isinstance(error, TaburError) else str(error))


def _signal_group(process: subprocess.Popen[bytes], name: str) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, getattr(signal, name))
        elif name == "SIGTERM":
            process.terminate()
        else:
            process.kill()


#: Its own process group where there are any: what a job starts is killed with it.
_OWN_GROUP = 0 if hasattr(os, "setpgid") else None
