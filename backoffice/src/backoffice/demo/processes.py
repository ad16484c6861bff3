"""The demo's child processes: started together, ended together, by their groups."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from backoffice.demo.drive import DemoFailed

_GRACE = 15.0
_START = 60.0


class Children:
    """Children in groups of their own, so that Ctrl-C reaches them once: through us."""

    def __init__(self, environment: Mapping[str, str], *, logs: Path | None = None) -> None:
        """With `logs`, what the children print goes to files in that folder."""
        self._environment = environment
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Runs `python -m module arguments` with this very Python."""
        with contextlib.ExitStack() as stack:
            out = None
            if self._logs is not None:
                out = stack.enter_context((self._logs / f"{name}.log").open("ab"))
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=self._environment,
                stdout=out,
                stderr=subprocess.STDOUT if out else None,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises DemoFailed when one of them has ended by itself."""
        for name, child in self._running.items():
            if child.poll() is not None:
                raise DemoFailed(f"the {name} ended by itself (exit code {child.returncode})")

    def last_words(self) -> str:
        """The end of what each of them wrote, for when something has gone wrong."""
        if self._logs is None:
            return ""
        return "\n".join(
            f"--- {log.stem}\n{log.read_text(errors='replace')[-2000:]}"
            for log in sorted(self._logs.glob("*.log"))
        )

    def wait(self) -> None:
        """Until one of them ends, or Ctrl-C."""
        while True:
            self.check()
            time.sleep(0.5)

    def stop(self) -> None:
        """TERM to all, and after a while KILL to what is left of their groups."""
        # A second Ctrl-C must not leave half of them behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for child in self._running.values():
                _signal(child, signal.SIGTERM)
            deadline = time.monotonic() + _GRACE
            for child in self._running.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, deadline - time.monotonic()))
                _signal(child, signal.SIGKILL)
                child.wait()
        finally:
            signal.signal(signal.SIGINT, before)


def wait_until_up(address: str, children: Children) -> None:
    """Until the web side answers. Raises DemoFailed after a minute, or when a child has ended."""
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        children.check()
        with contextlib.suppress(URLError, OSError), urlopen(f"{address}/sign-in", timeout=5):  # noqa: S310 - ours
            return
        time.sleep(0.1)
    raise DemoFailed(f"{address} did not answer within {_START:.0f} s")


def port_is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
