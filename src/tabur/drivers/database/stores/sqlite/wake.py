"""Waking idle workers: a datagram socket beside the database file, and a look at its version.

Correctness never rests on it. Where sockets cannot be had (Windows, a path above 100 characters, a
folder that cannot be written), a worker finds new work at its next look, 50 ms later at most.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from pathlib import Path
from time import monotonic

from tabur.drivers.database.stores.sqlite.file import SqliteFile

#: Seconds between two looks at the file's version, without a bell and behind one.
LOOK, LOOK_BEHIND_BELL = 0.05, 0.1
#: Seconds between two looks just after a bell that came before its commit.
_SOON = 0.001
_LONGEST_PATH = 100


class Bell:
    """Rings every listener on the file, in any process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._listeners: list[str] = []
        self._seen: int | None = None
        self._look_again = 0.0

    def ring(self) -> None:
        """Never waits and never fails: who is busy needs no bell."""
        with self._lock:
            if monotonic() > self._look_again:
                self._look()
            if not self._listeners:
                return
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            for path in self._listeners:
                try:
                    self._socket.sendto(b"\x07", path)
                except BlockingIOError:
                    continue  # its buffer is full of bells already
                except OSError:
                    # Left behind by a process that was killed.
                    with contextlib.suppress(OSError):
                        Path(path).unlink()

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _look(self) -> None:
        """See who listens. A new one is rung a little later, and looks by itself until then."""
        self._look_again = monotonic() + LOOK
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:
            self._listeners = []
            return
        if changed != self._seen:
            self._listeners = [
                entry.path for entry in os.scandir(self._folder) if entry.name.endswith(".bell")
            ]
            self._seen = changed


class DatabaseListener:
    """Hears the bell; belongs to one thread but for `interrupt`."""

    def __init__(self, file: SqliteFile, folder: Path) -> None:
        self._file = file
        self._connection = file.connect()
        self._seen = self._version()
        self._path = folder / f"{os.getpid()}-{id(self):x}.bell"
        self._wake_r, self._wake_w = socket.socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._bell = self._bind(folder)
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(self._wake_r, select.POLLIN)
            if self._bell is not None:
                self._poll.register(self._bell, select.POLLIN)

    def wait(self, timeout: float) -> bool:
        deadline = monotonic() + timeout
        rung_until = 0.0
        look = LOOK if self._bell is None else LOOK_BEHIND_BELL
        while True:
            if self._version() != self._seen:
                self._seen = self._version()
                return True
            now = monotonic()
            if now >= deadline:
                return False
            # A bell in a caller's transaction rings just before the commit: look often for a while.
            pause = min(_SOON if now < rung_until else look, deadline - now)
            heard = self._heard(pause)
            if heard == "interrupt":
                return True
            if heard == "bell":
                rung_until = monotonic() + LOOK

    def interrupt(self) -> None:
        with contextlib.suppress(OSError):  # full: the wait ends anyway; closed: nobody waits
            self._wake_w.send(b"\x07")

    def close(self) -> None:
        if self._bell is not None:
            self._bell.close()
            self._path.unlink(missing_ok=True)
        self._wake_r.close()
        self._wake_w.close()
        self._file.forget(self._connection)

    def _version(self) -> int:
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _heard(self, pause: float) -> str | None:
        """What ended a wait of at most `pause` seconds."""
        sockets = [self._wake_r] if self._bell is None else [self._wake_r, self._bell]
        if self._poll is not None:
            ready = {fd for fd, _ in self._poll.poll(max(pause * 1000, 0.05))}
        else:
            ready = {each.fileno() for each in select.select(sockets, [], [], pause)[0]}
        heard = None
        for each in sockets:
            if each.fileno() in ready:
                _drain(each)
                heard = "interrupt" if each is self._wake_r else heard or "bell"
        return heard

    def _bind(self, folder: Path) -> socket.socket | None:
        if not hasattr(socket, "AF_UNIX") or len(os.fsencode(self._path)) > _LONGEST_PATH:
            return None
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            folder.mkdir(exist_ok=True)
            bell.bind(str(self._path))
        except OSError:
            bell.close()
            return None
        bell.setblocking(False)
        return bell


def _drain(each: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while each.recv(512):
            pass
