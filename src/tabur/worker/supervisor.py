"""The supervisor: starts children, beats for them, and mends what a dead one leaves behind."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from time import monotonic, sleep

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.model.clock import now_us
from tabur.model.ids import new_worker_id
from tabur.model.records import Crash, ErrorInfo, WorkerRecord
from tabur.model.states import Isolation
from tabur.worker.options import WorkOptions
from tabur.worker.protocol import EXIT_BROKEN, EXIT_DONE, ORDERLY, Hello, said
from tabur.worker.rescue import Observations

_log = logging.getLogger("tabur.worker")

#: Seconds: between looks at the children, at the restart signal, between beats, between prunings.
LOOK = 0.1
LOOK_AT_SIGNAL = 2.5
BEAT = 5.0
PRUNE = 3600.0
#: What a child may take to end once its grace is over (seconds).
EXIT_TIME = 10.0
#: A child that lived shorter than this is started again with a growing pause (seconds).
SHORT_LIFE, LONGEST_PAUSE = 5.0, 30.0


class Supervisor:
    """Runs `options.processes` children of the app at `spec` until told to stop.

    It imports no job code itself: whoever starts it has found the app and gives its driver, whether
    some job wants a process of its own (`warm`), what to do once an hour (`prune`), and where to
    `say` what happens.
    """

    def __init__(
        self,
        spec: str,
        driver: Driver,
        options: WorkOptions,
        *,
        warm: bool,
        prune: Callable[[], object],
        say: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._driver = driver
        self._options = options
        self._warm = warm
        self._prune = prune
        self._say = say
        self._id = new_worker_id(socket.gethostname())
        self._children: list[_Child] = []
        self._stopping: str | None = None
        self._signals = 0
        self._stop_by: float | None = None
        """When a child that was told to stop is killed."""
        self._code = EXIT_DONE
        self._restarts = 0
        self._looked_at_signal = 0.0
        self._over = threading.Event()

    def run(self) -> int:
        """Work until stopped or nothing is left to do. Answers the exit code; raises StoreError
        where the store cannot be used at all."""
        self._restarts = self._driver.control.signals().restarts
        beats = threading.Thread(target=self._beat, name="tabur-beat", daemon=True)
        for _ in range(self._options.processes):
            self._start(_Child(0.0), warm=int(self._warm))
        beats.start()
        try:
            while self._children:
                self._look()
                sleep(LOOK)
        finally:
            self._over.set()
            for child in self._children:
                self._bury(child, EXIT_DONE)  # killed by us: no fault of its jobs
        return self._code

    def stop(self, reason: str) -> None:
        """Let the children finish what runs; a second time: end now. Safe in a signal handler."""
        self._signals += 1
        left = self._options.grace if self._signals == 1 else 0.0
        self._stop_by = monotonic() + left + EXIT_TIME
        self._stopping = self._stopping or reason
        for child in self._children:
            child.tell(b"s" if self._signals == 1 else b"n")

    # children

    def _start(self, child: _Child, *, warm: int) -> None:
        hello = Hello(self._spec, self._driver.name, sys.path, child.worker, self._options, warm)
        self._children.append(child)
        child.start(msgspec.json.encode(hello) + b"\n")
        self._driver.workers.register(
            WorkerRecord(
                child.worker,
                socket.gethostname(),
                child.pid,
                now_us(),
                queues=self._options.queues,
                supervisor=self._id,
            )
        )
        if self._stopping is not None:  # a signal that came before it could be told
            child.tell(b"s" if self._signals == 1 else b"n")

    def _start_again(self, child: _Child, *, warm: int, now: float) -> None:
        """As `_start`; a store that does not answer just now must not end the other children."""
        try:
            self._start(child, warm=warm)
        except StoreError as error:
            _log.warning("A new worker process could not be made known, again soon: %s", error)
            self._bury(child, EXIT_DONE)
            child.rest(now)

    def _look(self) -> None:
        now = monotonic()
        for child in list(self._children):
            if child.due is not None and now >= child.due:
                self._children.remove(child)
                if self._stopping is None:
                    # What ran in the dead one runs in processes of their own now.
                    slots = self._options.slots()[Isolation.PROCESS]
                    warm = min(max(child.released, int(self._warm)), slots)
                    self._start_again(_Child(child.pause), warm=warm, now=now)
            elif child.due is None and (code := child.poll()) is not None:
                self._ended(child, code, now)
            elif self._stop_by is not None and now > self._stop_by:
                child.kill_session()  # it hangs on its way out
                self._ended(child, EXIT_DONE, now)
        if now - self._looked_at_signal > LOOK_AT_SIGNAL:
            self._looked_at_signal = now
            with contextlib.suppress(StoreError):
                restarts = self._driver.control.signals().restarts
                if self._stopping is None and restarts != self._restarts:
                    self._say("Restart asked for: finishing what runs.")
                    self.stop("restart signal")

    def _ended(self, child: _Child, code: int, now: float) -> None:
        self._bury(child, code)
        if code == EXIT_BROKEN:
            self._code = 1
            self.stop("broken")
        if code not in ORDERLY:
            self._say(f"A worker process ended ({said(code)}); its jobs run again.")
        if self._stopping is not None or code in (EXIT_DONE, EXIT_BROKEN):
            self._children.remove(child)
        else:
            child.rest(now)

    def _bury(self, child: _Child, code: int) -> None:
        """Give back what a dead child held, once nothing of it can still be running."""
        child.kill_session()
        crash = None
        if code not in ORDERLY:
            crash = Crash(ErrorInfo("JobCrashed", f"Its worker process ended: {said(code)}."))
        pause = 0.1
        while True:
            try:
                claiming = self._driver.claiming
                child.released = claiming.release_worker(child.worker, crash=crash)
                self._driver.workers.remove(child.worker)
                return
            except StoreError as error:
                if self._signals > 1:
                    return  # others find it lost
                _log.warning("The jobs of a dead worker wait for the store: %s", error)
                sleep(pause)
                pause = min(pause * 2, 5.0)

    # beats, rescue and retention

    def _beat(self) -> None:
        observed = Observations(self._driver)
        pruned = monotonic() - PRUNE + 60.0
        while not self._over.wait(BEAT):
            try:
                alive = [child.worker for child in self._children if child.due is None]
                self._driver.workers.beat(alive)
                for worker in observed.lost(except_for=alive):
                    crash = Crash(ErrorInfo("JobCrashed", "Its worker stopped beating."))
                    released = self._driver.claiming.release_worker(worker, crash=crash)
                    self._driver.workers.remove(worker)
                    self._say(f"Worker {worker} is lost; {released} of its jobs run again.")
                if monotonic() - pruned > PRUNE:
                    pruned = monotonic()
                    self._prune()
            except StoreError as error:
                observed.blind()
                _log.warning("No beat could be written: %s", error)
            except Exception:
                _log.exception("The supervisor's upkeep failed and goes on")


class _Child:
    """One child process, in a session of its own, so that all it started can be found."""

    def __init__(self, pause: float) -> None:
        self.worker = new_worker_id(socket.gethostname())
        self.pause = pause
        self.released = 0
        """How many jobs it left behind when it died."""
        self.due: float | None = None
        """When its successor is to be started; None while it lives."""
        self._process: subprocess.Popen[bytes] | None = None
        self._started = monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def start(self, hello: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tabur.worker.child"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        with contextlib.suppress(OSError):
            self._send(hello)

    def tell(self, what: bytes) -> None:
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # gone, closed, just writing
            self._send(what)

    def poll(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def rest(self, now: float) -> None:
        """Decide when a successor starts: at once, unless lives have been short."""
        if now - self._started >= SHORT_LIFE:
            self.pause = 0.0
        self.due = now + self.pause
        self.pause = min(max(self.pause * 2, 0.5), LONGEST_PAUSE)

    def kill_session(self) -> None:
        """Kill it and all it has started, and wait until they are gone: a job that still runs
        somewhere must not be started a second time."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if not hasattr(os, "getsid"):
            return
        deadline = monotonic() + 5.0
        while (members := _session(self._process.pid)) and monotonic() < deadline:
            for pid in members:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            sleep(0.005)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _send(self, what: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(what)
            self._process.stdin.flush()


def _session(leader: int) -> list[int]:
    """The processes of a session that still run; zombies are gone already."""
    import psutil

    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (OSError, psutil.Error):
            continue
    return found
