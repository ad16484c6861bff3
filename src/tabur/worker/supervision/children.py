"""A child as its supervisor sees it: one process with all that it has started, and its board."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from enum import Enum, auto
from pathlib import Path
from time import monotonic

import msgspec

from tabur.model.ids import new_worker_id
from tabur.model.records import Crash, WorkerRecord
from tabur.worker.balancing.flow import Meter
from tabur.worker.board import Board, Doing
from tabur.worker.protocol import Hello, Order, What
from tabur.worker.stacks import stacks_later
from tabur.worker.supervision.upkeep import Registration, Release


class Life(Enum):
    RUNNING = auto()
    DYING = auto()
    """It has ended or was killed; what it had started may still be there."""
    BURIED = auto()
    """Nothing of it is left; the store is being told."""


class Child:
    """One child, in a session of its own, so that all it has started can be found. `queues` are
    those that it works."""

    def __init__(self, *, host: str, folder: Path, queues: tuple[str, ...], slots: int) -> None:
        self.worker = new_worker_id(host)
        self.queues = queues
        self.board = Board(folder / f"{self.worker}.board", slots=slots)
        self.life = Life.RUNNING
        self.kill_by: float | None = None
        """When it is killed if it has not ended by then."""
        self.registration: Registration | None = None
        """In the store; it claims nothing before that is done."""
        self.release: Release | None = None
        """Of what it held, once it is buried."""
        self.surplus = False
        """It is one too many: it finishes what runs, and no other takes its place."""
        self.buried_at = 0.0
        self.told: Order | None = None
        self.crash: Crash | None = None
        self.code = 0
        self.started = monotonic()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def lives(self) -> bool:
        return self.life is Life.RUNNING

    @property
    def is_known(self) -> bool:
        """Whether the store is to hear of it: from its registration until nothing of it runs."""
        registered = self.registration is not None and self.registration.done
        return registered and self.life is not Life.BURIED

    @property
    def stays(self) -> bool:
        """Whether another in its place would be one too many: not if it is about to be replaced, or
        gone."""
        if self.lives:
            return self.board.seen().doing is not Doing.RETIRING
        return self.life is Life.DYING

    @property
    def is_on_its_way_out(self) -> bool:
        return self.life is not Life.BURIED and (self.surplus or not self.stays)

    @property
    def meter(self) -> Meter:
        seen = self.board.seen()
        return Meter(seen.started, seen.ended, seen.busy)

    def start(self, hello: Hello) -> None:
        with stacks_later():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tabur.worker.child"],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        self.board.belongs_to(self._process.pid)
        self._send(msgspec.json.encode(hello))

    def record(self, *, supervisor: str, host: str, version: str, started_at: int) -> WorkerRecord:
        return WorkerRecord(
            self.worker,
            host,
            self.pid,
            started_at,
            queues=self.queues,
            supervisor=supervisor,
            version=version,
        )

    def tell(self, order: Order) -> None:
        """Once each: an order that it has got already is not repeated."""
        if self.told != order and (self.told is None or self.told.what is not What.NOW):
            self.told = order
            self._send(msgspec.json.encode(order))

    def poll(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """With all that it has started."""
        self.life = Life.DYING
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        for pid in self._members():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def is_gone(self) -> bool:
        """Whether nothing of it runs any more: a job that still runs somewhere must not be started
        a second time. What was started meanwhile is killed too."""
        if self.poll() is None and self._process is not None:
            return False
        if self._members():
            self.kill()
            return False
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self.board.remove()
        return True

    def _send(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it is gone, and that is seen elsewhere
                self._process.stdin.write(line + b"\n")
                self._process.stdin.flush()

    def _members(self) -> list[int]:
        """The processes of its session that still run; zombies are gone already."""
        if self._process is None or not hasattr(os, "getsid"):
            return []
        import psutil

        found = []
        for pid in psutil.pids():
            try:
                if (
                    os.getsid(pid) == self._process.pid
                    and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(pid)
            except (OSError, psutil.Error):
                continue
        return found
