"""The board of a worker process: a small file in memory that the process writes and others read,
whatever its threads are doing. A process that hangs cannot be asked; its board still tells.
"""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from time import monotonic

import msgspec

#: looked, turned, ends_by, busy, since; started, ended, state, running, shared of these, pid; why.
_HEAD = struct.Struct("<5d6Q64s")
_MOMENT, _COUNT = struct.Struct("<d"), struct.Struct("<Q")
_LOOKED, _TURNED, _ENDS_BY, _BUSY, _SINCE = range(0, 40, 8)
_STARTED, _ENDED, _STATE, _RUNNING, _SHARED, _PID, _WHY = range(40, 96, 8)
_WIDEST_WHY = 64
_ID = 16


class Doing(IntEnum):
    """What a worker process is about."""

    STARTING = 0
    WORKING = 1
    RETIRING = 2
    """It finishes what runs and wants to be replaced."""
    ENDING = 3
    """It finishes what runs, and that is all."""
    ENDED = 4
    """It has said goodbye: what follows is no crash."""


class Seen(msgspec.Struct, frozen=True):
    """What stands on a board. Moments are seconds of the machine's monotonic clock."""

    looked_at: float
    """When its main thread last looked after things."""
    turned_at: float
    """When the store last answered it; 0: not yet."""
    ends_by: float
    """When it is to be gone; 0: it stays."""
    busy: float
    """Seconds that jobs which have ended ran, together."""
    started: int
    ended: int
    doing: Doing
    running: int
    why: str = ""
    """Why it stops."""
    since: float = 0.0
    """When it began what it is about."""
    pid: int = 0


class Board:
    """One process writes, others read; nobody waits for anybody."""

    def __init__(self, path: Path | None = None, *, slots: int = 0) -> None:
        """Opens the board at `path`; makes one for so many jobs where there is none. Without a
        path, nobody else sees it."""
        self.path = path
        size = _HEAD.size + slots * (_ID + 8)
        if path is None:
            self._map = mmap.mmap(-1, size)
        else:
            with path.open("r+b" if path.exists() else "w+b") as file:
                if file.seek(0, 2) < size:
                    file.truncate(size)
                    _claim_space(file.fileno(), size)
                self._map = mmap.mmap(file.fileno(), 0)
        self._slots = (len(self._map) - _HEAD.size) // (_ID + 8)
        self._deadlines_at = _HEAD.size + self._slots * _ID

    # the process whose board it is; `belongs_to` before it can speak for itself

    def belongs_to(self, pid: int) -> None:
        """It has just been started."""
        _COUNT.pack_into(self._map, _PID, pid)
        self.looked(monotonic())

    def looked(self, now: float) -> None:
        _MOMENT.pack_into(self._map, _LOOKED, now)

    def turned(self, now: float) -> None:
        _MOMENT.pack_into(self._map, _TURNED, now)

    def ends_by(self, moment: float) -> None:
        _MOMENT.pack_into(self._map, _ENDS_BY, moment)

    def does(self, doing: Doing, why: str = "") -> None:
        if self.seen().doing is not doing:
            _MOMENT.pack_into(self._map, _SINCE, monotonic())
        _COUNT.pack_into(self._map, _STATE, doing)
        if why:
            text = why.encode()[:_WIDEST_WHY]
            self._map[_WHY : _WHY + _WIDEST_WHY] = text.ljust(_WIDEST_WHY, b"\0")

    def counts(self, *, started: int, ended: int, busy: float) -> None:
        _MOMENT.pack_into(self._map, _BUSY, busy)
        _COUNT.pack_into(self._map, _STARTED, started)
        _COUNT.pack_into(self._map, _ENDED, ended)

    def runs(self, ids: Iterable[bytes], deadlines: Iterable[float], *, shared: int) -> None:
        """What runs, and when each has to be over (infinite: never). The first `shared` of them run
        in this very process, the others in processes of their own."""
        ending = array("d", deadlines)
        count = min(len(ending), self._slots)
        _COUNT.pack_into(self._map, _RUNNING, count)
        _COUNT.pack_into(self._map, _SHARED, min(shared, count))
        if count:
            at, until = self._deadlines_at, self._deadlines_at + 8 * count
            self._map[_HEAD.size : _HEAD.size + _ID * count] = b"".join(ids)[: _ID * count]
            self._map[at:until] = ending[:count].tobytes()

    # everybody else

    def seen(self) -> Seen:
        return _seen(self._map)

    def overdue(self, before: float) -> frozenset[bytes]:
        """The jobs that had to be over at `before`."""
        count = self._count(_RUNNING)
        deadlines = array("d", self._map[self._deadlines_at : self._deadlines_at + 8 * count])
        return self._ids(n for n, deadline in enumerate(deadlines) if deadline <= before)

    def shared(self) -> frozenset[bytes]:
        """The jobs that run in this very process: who else could have ended it?"""
        return self._ids(range(self._count(_SHARED)))

    def _count(self, of: int) -> int:
        (count,) = _COUNT.unpack_from(self._map, of)
        return min(int(count), self._slots)

    def _ids(self, places: Iterable[int]) -> frozenset[bytes]:
        first = _HEAD.size
        return frozenset(self._map[first + _ID * n : first + _ID * (n + 1)] for n in places)

    def close(self) -> None:
        self._map.close()

    def remove(self) -> None:
        self.close()
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()


def _claim_space(file: int, size: int) -> None:
    """On a full disk this raises OSError. Else the first write would end the process (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)


def read_board(path: Path) -> Seen:
    """What stands on a board, for those who may only read it. Raises OSError, and ValueError for
    what is no board."""
    content = path.read_bytes()
    if len(content) < _HEAD.size:
        raise ValueError(f"{path} is no board.")
    return _seen(content)


def _seen(content: mmap.mmap | bytes) -> Seen:
    looked, turned, ends_by, busy, since, *counts, why = _HEAD.unpack_from(content)
    started, ended, doing, running, _, pid = counts
    return Seen(
        looked_at=looked,
        turned_at=turned,
        ends_by=ends_by,
        busy=busy,
        started=started,
        ended=ended,
        doing=Doing(doing),
        running=running,
        why=why.rstrip(b"\0").decode("utf-8", "replace"),
        since=since,
        pid=pid,
    )
