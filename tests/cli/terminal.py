"""A terminal in which `tabur` runs, as a person sits at it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time

from tests.cli.project import Project


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, project: Project, *words: str, kind: str = "dumb") -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tabur", *words],
            cwd=project.folder,
            env=os.environ | {"TERM": kind, "IPYTHONDIR": str(project.folder / "ipython")},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def shows(self, text: str, *, within: float = 40) -> None:
        """From where it was last looked at."""
        until = time.monotonic() + within
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            if select.select([self._fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._fd, 65_536).decode("utf-8", "replace")
                except OSError:
                    raise AssertionError(f"it has ended: {self.seen}") from None
        self.seen = self.seen.partition(text)[2]

    def types(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._fd)
