"""The process of a job: runs one at a time, and may hang, crash or be killed without harm.

Started as `python -m tabur.worker.isolated`; the app's place comes on standard input, and then
messages. What jobs print goes to standard error: standard output carries the messages.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

import msgspec

from tabur.errors import JobCancelled, PayloadError
from tabur.jobs.context import JobContext
from tabur.jobs.current import running
from tabur.jobs.logs import install_logging
from tabur.jobs.settling import Backing
from tabur.model.clock import now_us
from tabur.model.ids import id_text
from tabur.worker.load import load_app
from tabur.worker.options import WorkOptions
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
from tabur.worker.running.run import Refused, completed, prepare, stopped
from tabur.worker.runtime import Runtime
from tabur.worker.stacks import dump_stacks_on_signal

#: Of prctl(2).
_SET_PDEATHSIG = 1


class _ParentReporter:
    """Reports by message; the parent holds the token and writes to the store."""

    def __init__(self, channel: Channel, backing: Backing) -> None:
        self._channel = channel
        self.backing = backing
        self.called_back = False
        self.stopping = False
        self.attached: SimpleQueue[Attached] = SimpleQueue()

    def progress(self, ctx: JobContext) -> None:
        self._channel.send(Reported(ctx.last_progress))

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int:
        if isinstance(content, bytes):
            self._channel.send(Attach(name, media_type, content=content))
        else:
            self._channel.send(Attach(name, media_type, path=str(content.absolute())))
        answer = self.attached.get()
        if answer.error is not None:
            raise PayloadError(answer.error)
        if answer.n == 0:
            raise JobCancelled(id_text(ctx.job.id))
        return answer.n

    def cancelled(self, ctx: JobContext) -> bool:
        return self.called_back


class Terminated(BaseException):
    """SIGTERM: the job's `finally` blocks run, for as long as the parent lets them."""


def main() -> None:
    _die_with_parent()
    signal.signal(signal.SIGINT, _pass_over)
    signal.signal(signal.SIGTERM, _terminate)
    dump_stacks_on_signal()
    channel, hello = _open()
    sys.path[:0] = [path for path in hello.paths if path not in sys.path]
    app = load_app(hello.app)
    install_logging(hello.output, hello.log_level)
    _tell(channel, Ready())
    starts: SimpleQueue[Start] = SimpleQueue()
    reporter = _ParentReporter(channel, app.runtime.backing())
    threading.Thread(
        target=_listen, args=(channel, starts, reporter), name="tabur-parent", daemon=True
    ).start()
    while True:
        start = starts.get()
        reporter.called_back = False
        runtime = app.runtime_of(start.connection or app.connection)
        reporter.backing = runtime.backing(start.worker)
        outcome = _work(runtime, start, reporter)
        _tell(channel, Ended(outcome))


def _die_with_parent() -> None:
    """By the kernel, where it can: a call into C that lets no other thread run would never hear
    that the parent is gone, and go on for ever. (It is the thread that started this process which
    counts as its parent; that one lives as long as the child.)"""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)


def _tell(channel: Channel, message: Ready | Ended) -> None:
    try:
        channel.send(message)
    except OSError:  # without a parent there is nobody to work for
        os._exit(0)


def _work(runtime: Runtime, start: Start, reporter: _ParentReporter) -> Any:
    try:
        run = prepare(start.job, runtime.registry, WorkOptions(), reporter, None)
    except Refused as why:
        return why.outcome
    run.timeout = start.timeout
    run.started_at = now_us()
    try:
        with runtime.scope.entered(run.scope()), running(run.ctx):
            value = run.call(run.ctx, run.arguments)
            if run.definition.is_async:
                value = asyncio.run(value)
    except BaseException as error:
        return stopped(run, error)
    return completed(run, value)


def _listen(channel: Channel, starts: SimpleQueue[Start], reporter: _ParentReporter) -> None:
    """Hand on what the parent says; without a parent there is nobody to work for."""
    while (message := channel.receive()) is not None:
        match message:
            case Start():
                starts.put(message)
            case CancelRun():
                reporter.called_back = True
            case StopSoon():
                reporter.stopping = True
            case Attached():
                reporter.attached.put(message)
    os._exit(0)


def _pass_over(number: int, frame: Any) -> None:
    """Ctrl-C is for the supervisor."""


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


def _open() -> tuple[Channel, Hello]:
    source: BinaryIO = os.fdopen(os.dup(0), "rb")
    target: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a print() inside a job must not end up among the messages
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(source, target), msgspec.json.decode(source.readline(), type=Hello)


if __name__ == "__main__":
    main()
