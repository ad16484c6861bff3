"""`tabur queue:work` with its processes, as a user starts it: one host, which can be killed, stood
still and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from chaos import ledger

ROOT = Path(__file__).resolve().parent.parent
#: What must not reach a process that has a store of its own. COVERAGE_: most of them are killed,
#: and what they would have measured is lost.
FOREIGN = ("QUEUE_", "DATABASE_", "REDIS_", "TABUR_", "COVERAGE_")


class Stuck(Exception):
    """What was waited for never came."""


class Workers:
    """`environment` of its processes alone; `app` is where they find it; `options` are words of
    queue:work; `inside` is put before the command, and makes it run on another host."""

    def __init__(
        self,
        place: Path,
        environment: Mapping[str, str],
        *,
        host: str,
        processes: int,
        slots: int,
        app: str,
        options: Sequence[str] = (),
        inside: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.processes = processes
        self._place = place
        self._environment = {
            "TABUR_RUN": str(place / f"{host}-run"),
            **environment,
            "CHAOS_HOST": host,
        }
        self._log = place / f"worker-{host}.log"
        self._command = [
            *inside,
            *(sys.executable, "-m", "tabur", "--app", app, "queue:work"),
            *("--quiet", f"--processes={processes}", f"--concurrency={slots}", *options),
        ]
        self._process = self._begin()

    # as its operator

    def start(self) -> None:
        """Again, after its end."""
        self._process = self._begin()

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def ended(self, ceiling: float = 60.0) -> int:
        """Waits for its end; answers the exit code. Raises Stuck."""
        try:
            return self._process.wait(ceiling)
        except subprocess.TimeoutExpired:
            raise Stuck(f"{self.host} does not end: {self.log}") from None

    def stop(self) -> None:
        """Ends it in good order, and then what is left of it, whatever was done to it."""
        self.go_on()
        stop_process(self._process)
        for pid in self._left():
            _send(pid, signal.SIGKILL)

    # as the fault

    def kill(self) -> int:
        """All of it at once, as a power failure does. Answers when (monotonic nanoseconds)."""
        tree = self.stand_still()
        at = time.monotonic_ns()
        for pid in tree:
            _send(pid, signal.SIGKILL)
        self._process.wait()
        return at

    def stand_still(self) -> list[int]:
        """SIGSTOP to the supervisor and then to all below it; answers their numbers."""
        _send(self.pid, signal.SIGSTOP)
        stopped: list[int] = [self.pid]
        while new := [pid for pid in self.tree() if pid not in stopped]:
            for pid in new:
                _send(pid, signal.SIGSTOP)
            stopped += new
        return stopped

    def go_on(self) -> None:
        for pid in (*self.tree(), self.pid):
            _send(pid, signal.SIGCONT)

    def go_on_below(self) -> None:
        """All but the supervisor, which still stands."""
        for pid in self.tree():
            _send(pid, signal.SIGCONT)

    # looking

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def has_left(self) -> bool:
        return self._process.poll() is not None

    @property
    def is_at_work(self) -> bool:
        """Whether each of its processes has asked for work; raises Stuck where it has left."""
        if self.has_left:
            raise Stuck(f"The worker has left: {self.log}")
        return len(self.children()) >= self.processes

    def children(self) -> list[int]:
        """Those that speak with the store and live."""
        working = {int(file.stem) for file in self._place.glob("*.turns")}
        mine = {each.pid for each in self._of_this_host()}
        return [pid for pid in working & mine if lives(pid)]

    def tree(self) -> list[int]:
        """All below the supervisor, which is not among them."""
        try:
            return [each.pid for each in psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _of_this_host(self) -> list[ledger.Process]:
        return [each for each in ledger.processes(self._place).values() if each.host == self.host]

    def _left(self) -> list[int]:
        """Numbers are given again: only what has our environment is ours."""
        left = []
        for each in self._of_this_host():
            with contextlib.suppress(psutil.Error):
                if psutil.Process(each.pid).environ().get("CHAOS_PLACE") == str(self._place):
                    left.append(each.pid)
        return left

    def _begin(self) -> subprocess.Popen[bytes]:
        return start_process(self._command, self._environment, log=self._log)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_process(
    command: Sequence[str], environment: Mapping[str, str], *, log: Path
) -> subprocess.Popen[bytes]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**ours, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def stop_process(process: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    """SIGTERM, SIGTERM again, SIGKILL."""
    for wait in (patience, 10.0):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)
