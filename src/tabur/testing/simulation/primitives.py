"""What code waits with, and what it starts: events, queues, threads, pools and child processes as
the standard library has them, in virtual time. Only what the worker uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty
from typing import Any

from tabur.testing.simulation.timeline import Process, Thread, Timeline


class Event:
    """As threading.Event."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._set = False
        self._waiting: list[Thread] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        for thread in self._waiting:
            thread.unpark()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            thread = self._timeline.thread
            self._waiting.append(thread)
            try:
                thread.park(timeout)
            finally:
                self._waiting.remove(thread)
        return self._set


class Queue:
    """As queue.SimpleQueue. Who waits for an item that does not come waits for `least` seconds."""

    def __init__(self, timeline: Timeline, *, least: float = 0.0) -> None:
        self._least = least
        self._items: deque[Any] = deque()
        self._filled = Event(timeline)

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._filled.set()

    def get(self, timeout: float | None = None) -> Any:
        if not self._items:
            self._filled.clear()
            self._filled.wait(None if timeout is None else max(timeout, self._least))
        if not self._items:
            raise Empty
        return self._items.popleft()


class StartedThread:
    """As threading.Thread, in the process of who starts it."""

    def __init__(
        self,
        timeline: Timeline,
        target: Callable[[], object],
        name: str,
        *,
        daemon: bool = False,
    ) -> None:
        self._timeline = timeline
        self._target = target
        self._name = name
        self._thread: Thread | None = None
        self._over = Event(timeline)

    @property
    def ident(self) -> int | None:
        return None if self._thread is None else id(self._thread)

    def start(self) -> None:
        self._thread = self._timeline.process.start(self._run, self._name)

    def is_alive(self) -> bool:
        return self._thread is not None and not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        self._over.wait(timeout)

    def _run(self) -> None:
        self._target()
        self._over.set()


class Pool(Executor):
    """With threads enough. Nobody asks what they came to."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        self._timeline.process.start(lambda: work(*given, **named), "pool")
        return Future()


class Pipe:
    """Lines from one process to another. It is closed when its writer dies."""

    def __init__(self, timeline: Timeline, writer: Process) -> None:
        self._lines = Queue(timeline)
        self._rest = b""
        writer.on_exit.append(self.close)

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.put(line + b"\n")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._lines.put(b"")

    def readline(self) -> bytes:
        """Empty at its end."""
        line: bytes = self._lines.get()
        return line


class ChildProcess:
    """As subprocess.Popen."""

    def __init__(self, process: Process, pid: int, stdin: Pipe) -> None:
        self.pid = pid
        self.stdin = stdin
        self._process = process

    def poll(self) -> int | None:
        return self._process.code

    def kill(self) -> None:
        self._process.is_killed |= self._process.lives
        self._process.exit(-9)
