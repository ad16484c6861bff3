"""Commands that a schedule runs: in a process beside the job's, and killed with it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import IO, Any

from tabur.errors import TaburError
from tabur.jobs.context import JobContext
from tabur.model.text import storable
from tabur.scheduler.hooks import Hooks
from tabur.scheduler.outside import Outside

_log = logging.getLogger("tabur.scheduler")

#: Of what it prints: bytes that are kept for mail, and characters for its result and error.
KEPT = 256 * 1024
TOLD = 4_000
#: Seconds: between two looks whether it was called back; that it has to end after SIGTERM; that its
#: pipe may stay open when it has ended: what it started in the background may hold it.
LOOK = 0.2
OBEY = 0.4
LINGERS = 1.0


class CommandFailed(TaburError):
    """It ended with another exit code than 0."""

    def __init__(self, command: str, code: int, output: str) -> None:
        told = f": {output}" if output else ", and printed nothing"
        super().__init__(f"{command} ended with exit code {code}{told}")
        self.code = code


@dataclass(frozen=True)
class Command:
    """`words`: of a `tabur` command line; or one line for the `shell`."""

    outside: Outside
    words: tuple[str, ...] = ()
    shell: str | None = None

    def run(self, ctx: JobContext, schedule: str, hooks: Hooks) -> dict[str, Any]:
        """Run it to its end. Raises CommandFailed, JobCancelled."""
        began = monotonic()
        with _sink(hooks) as sink:
            process = self._start()
            tail = _Tail(process, sink)
            try:
                code = _wait(process, ctx)
            except BaseException:
                end_tree(process)
                raise
            finally:
                output = tail.read()
        failed = code != 0
        state = f"failed with exit code {code}" if failed else "done"
        to = (*hooks.mail_to, *(hooks.mail_on_failure_to if failed else ()))
        hooks.mail(
            to,
            subject=f"{'Failed' if failed else 'Output'}: {schedule}",
            body=f"{self}\n{state} after {monotonic() - began:.1f} s\n\n{output}",
        )
        told = output[-TOLD:].strip()
        if failed:
            raise CommandFailed(str(self), code, told)
        return {"exit_code": 0, "output": told}

    def _start(self) -> subprocess.Popen[bytes]:
        spec = self.outside.spec()
        # In the group of the job's own process: what ends that one, however it is ended, ends this.
        return subprocess.Popen(
            self._arguments(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | ({"TABUR_APP": spec} if spec else {}),
        )

    def _arguments(self) -> list[str]:
        if self.shell is None:
            return [sys.executable, "-m", "tabur", *self.words]
        if os.name == "nt":
            return [os.environ.get("COMSPEC", "cmd.exe"), "/c", self.shell]
        return ["/bin/sh", "-c", self.shell]

    def __str__(self) -> str:
        if self.shell is not None:
            return self.shell
        import shlex

        return shlex.join(self.words)


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started: by request, and then by force."""
    import psutil

    try:
        family = [
            *psutil.Process(process.pid).children(recursive=True),
            psutil.Process(process.pid),
        ]
    except psutil.Error:
        family = []
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(OBEY)
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.kill()
    process.wait()


def _wait(process: subprocess.Popen[bytes], ctx: JobContext) -> int:
    while True:
        try:
            return process.wait(LOOK)
        except subprocess.TimeoutExpired:
            ctx.check_cancelled()


class _Tail:
    """Reads what a process prints, into a file where one is given, and keeps the end of it."""

    def __init__(self, process: subprocess.Popen[bytes], sink: IO[bytes] | None) -> None:
        assert process.stdout is not None
        self._source = process.stdout
        self._sink = sink
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._reader = threading.Thread(target=self._read, name="tabur-output", daemon=True)
        self._reader.start()

    def read(self) -> str:
        """The end of it, when the process has ended."""
        self._reader.join(LINGERS)
        raw = b"".join(list(self._kept))[-KEPT:]
        return storable(raw.decode("utf-8", "replace"), limit=KEPT)

    def _read(self) -> None:
        with self._source, contextlib.suppress(OSError):
            while chunk := os.read(self._source.fileno(), 65_536):
                self._kept.append(chunk)
                self._size += len(chunk)
                while self._size - len(self._kept[0]) >= KEPT:
                    self._size -= len(self._kept.popleft())
                self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        if self._sink is not None:
            try:
                self._sink.write(chunk)
                self._sink.flush()
            except OSError as error:  # it must be read on, or the command would wait for ever
                _log.error("The output of a command cannot be kept: %s", error)
                self._sink = None
            except ValueError:  # the run is over; what it left in the background goes on
                self._sink = None


@contextlib.contextmanager
def _sink(hooks: Hooks) -> Iterator[IO[bytes] | None]:
    """The file that output goes to."""
    if hooks.output is None:
        yield None
        return
    path = hooks.output.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if hooks.output.append else "wb") as file:
        yield file
