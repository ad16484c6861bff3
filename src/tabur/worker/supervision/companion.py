"""A process that a supervisor keeps running beside its children: the scheduler."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Sequence
from time import monotonic

#: After one that ended, the next starts after a pause that grows (seconds); one that lived longer
#: than LONG has had nothing against it.
FIRST_PAUSE, LONGEST_PAUSE, LONG = 0.5, 30.0, 60.0
#: Seconds that it has to end when it is told to.
ENDS_WITHIN = 5.0


class Companion:
    """Its standard input stays open as long as the supervisor lives, and it ends when that ends."""

    def __init__(self, arguments: Sequence[str], *, what: str, say: Callable[[str], None]) -> None:
        self._arguments = list(arguments)
        self._what = what
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._not_before = 0.0
        self._pause = 0.0

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def look(self, now: float) -> None:
        """Start it where it does not run."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._close()
            lived = now - self._started
            self._pause = FIRST_PAUSE if lived > LONG else min(2 * self._pause, LONGEST_PAUSE)
            self._pause = max(self._pause, FIRST_PAUSE)
            self._not_before = now + self._pause
            self._say(f"{self._what} ended (exit code {code}) and is started again.")
        if now >= self._not_before:
            self._started = now
            # In a session of its own: Ctrl-C is for the supervisor, who tells the others.
            self._process = subprocess.Popen(
                self._arguments, stdin=subprocess.PIPE, start_new_session=True
            )

    def stop(self) -> None:
        """End it, by force where it does not."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        ends = monotonic() + ENDS_WITHIN
        try:
            process.wait(max(0.0, ends - monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process = None
