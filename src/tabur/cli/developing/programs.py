"""Programs that run side by side in one terminal, are started anew together, and end together with
all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic

import click
import psutil

#: Seconds that a program has to end before it is killed, with all that it has started.
GRACE = 10.0
#: Seconds that a program has to have run for to be started again where it ended in good order.
LIVED = 2.0
#: Seconds between two looks whether one has ended.
LOOK = 0.2


@dataclass(frozen=True)
class Program:
    """`name` stands before its lines in `colour`; without one, its lines stand as they are."""

    name: str
    command: Sequence[str]
    colour: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


class Programs:
    """Runs them until `stop`. `change` starts all of them anew; one that ends by itself with an
    error waits for that."""

    def __init__(self, programs: Iterable[Program]) -> None:
        self._programs = list(programs)
        width = max(len(each.name) for each in self._programs)
        self._running = [_Running(each, width) for each in self._programs]
        self._events: SimpleQueue[list[str] | None] = SimpleQueue()
        self._stops = 0

    def change(self, files: list[str]) -> None:
        """These files have changed; from any thread."""
        self._events.put(files)

    def stop(self) -> None:
        """End all; a second time: at once. From a signal handler."""
        self._stops += 1
        self._events.put(None)

    def run(self) -> None:
        try:
            for each in self._running:
                each.start()
            while not self._stops:
                self._next()
        finally:
            _end(self._running, lambda: self._stops > 1)

    def _next(self) -> None:
        try:
            files = self._events.get(timeout=LOOK)
        except Empty:
            for each in self._running:
                each.look()
            return
        while not self._events.empty():
            files = self._events.get()
        if files is None or self._stops:
            return
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        say(f"{', '.join(files[:3])}{more} changed: starting anew.")
        _end(self._running, lambda: self._stops > 0)
        if not self._stops:
            for each in self._running:
                each.start()


class _Running:
    def __init__(self, program: Program, width: int) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._reader: threading.Thread | None = None
        self._head = ""
        if program.colour is not None:
            self._head = click.style(f"{program.name.ljust(width)} | ", fg=program.colour)

    def start(self) -> None:
        self._started = monotonic()
        piped = self.program.colour is not None
        self.process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.STDOUT if piped else None,
            env=os.environ | self.program.environment,
            # Ctrl-C in the terminal is for `tabur dev`, which ends them in order.
            start_new_session=True,
        )
        if piped:
            self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
            self._reader.start()

    def look(self) -> None:
        """Has it ended by itself?"""
        process = self.process
        if process is None or process.poll() is None:
            return
        self.process = None
        self.finish()
        if process.returncode == 0 and monotonic() - self._started > LIVED:
            say(f"{self.program.name} has ended: starting anew.")
            self.start()
        else:
            code = process.returncode
            how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
            say(f"{self.program.name} has ended ({how}): waiting for a change of the code.")

    def finish(self) -> None:
        """Wait for the last of its lines."""
        if self._reader is not None:
            self._reader.join(2.0)
            self._reader = None

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                text = line.decode("utf-8", "replace").rstrip("\n")
                with suppress(OSError):  # the terminal is gone
                    click.echo(f"{self._head}{text}\n", nl=False)


def _end(all_: Iterable[_Running], now: Callable[[], bool]) -> None:
    """End them with all that they have started. `now()`: no more patience."""
    running = [each for each in all_ if each.process is not None]
    families = {each: _family(each) for each in running}
    for each in running:
        _signal(each, signal.SIGTERM)
    until = monotonic() + GRACE
    for each in running:
        while each.process is not None and each.process.poll() is None:
            if monotonic() > until or now():
                break
            with suppress(subprocess.TimeoutExpired):
                each.process.wait(0.1)
    for each in running:
        # What a child of it has started meanwhile, in a session of its own, is found through it.
        for one in {*families[each], *_family(each)}:
            with suppress(psutil.Error):
                one.kill()
        _signal(each, signal.SIGKILL)
        if each.process is not None:
            each.process.wait()
            each.process = None
        each.finish()


def _family(running: _Running) -> list[psutil.Process]:
    assert running.process is not None
    try:
        return psutil.Process(running.process.pid).children(recursive=True)
    except psutil.Error:
        return []


def _signal(running: _Running, how: signal.Signals) -> None:
    """To its whole group."""
    assert running.process is not None
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(running.process.pid, how)
        elif running.process.poll() is None:
            running.process.send_signal(how)


def say(text: str) -> None:
    with suppress(OSError):
        click.secho(f"  {text}", err=True, dim=True)


def python(*words: str) -> list[str]:
    return [sys.executable, *words]
