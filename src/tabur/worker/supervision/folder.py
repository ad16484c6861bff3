"""The folder of one supervisor while it works, for whoever looks from outside: what it is, and the
boards of it and its children (`tabur health`)."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tabur.errors import ConfigError
from tabur.worker.board import Board, Seen, read_board

_ABOUT = "about.json"
_LOCK = "lock"
_OWN = "supervisor.board"


def _host() -> str:
    """Of a container the name is its own, even where it shares the folder with others."""
    return socket.gethostname()


def _boot() -> str:
    """Which run of which machine this is; its containers share it. Empty where that is not told."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


class About(msgspec.Struct, frozen=True):
    """What a supervisor says of itself. `processes`: how many children it keeps at least."""

    pid: int
    app: str
    connection: str
    queues: tuple[str, ...]
    processes: int
    pause: float
    """Seconds that a child may wait between two looks at the store."""
    beat: float = 5.0
    """Seconds between two beats."""
    host: str = msgspec.field(default_factory=_host)
    boot: str = msgspec.field(default_factory=_boot)

    @property
    def is_here(self) -> bool:
        """Not of another host or container that shares the folder."""
        return self.host == _host()


class Found(NamedTuple):
    """A supervisor that has left a folder."""

    about: About
    folder: Path
    lives: bool


class RunFolder:
    """Made by a supervisor in `base`; gone when it ends as it should. What a killed one has left
    there is removed."""

    def __init__(self, base: Path, about: About) -> None:
        """Where `base` cannot be written, working goes on, and nobody who looks there finds it.
        Raises ConfigError where nothing can be."""
        self.base = base
        self.is_seen = True
        try:
            self._make(base / f"{about.pid}-{os.urandom(3).hex()}", about)
        except OSError:
            self.remove()
            self.is_seen = False
            try:
                self._make(Path(tempfile.mkdtemp(prefix="tabur-")), about)
            except OSError as error:
                self.remove()
                raise ConfigError(
                    f"Neither {base} nor {tempfile.gettempdir()} can be written ({error}). "
                    "Set TABUR_RUN to a folder that can."
                ) from None
        _clear(base, about)

    def _make(self, path: Path, about: About) -> None:
        self.path = path
        self.board = Board()
        self._lock: int | None = None
        path.mkdir(parents=True, exist_ok=True)
        self._lock = _held(path)
        self.board = Board(path / _OWN)
        self.board.belongs_to(about.pid)
        # Last: without it a folder is passed over, so that none in the making is taken for dead.
        (path / _ABOUT).write_bytes(msgspec.json.encode(about))

    def remove(self) -> None:
        self.board.close()
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def supervisors(base: Path) -> Iterator[Found]:
    """Those that have left a folder in `base`, dead ones among them."""
    for folder in sorted(base.glob("*-*/")):
        with suppress(OSError, msgspec.DecodeError):
            about = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About)
            yield Found(about, folder, _is_held(folder, about))


def boards(folder: Path) -> dict[str, Seen]:
    """What stands on the boards of a supervisor's children, by the name of the worker."""
    found = {}
    for path in sorted(folder.glob("*.board")):
        if path.name != _OWN:
            with suppress(OSError, ValueError):  # it has just gone
                found[path.stem] = read_board(path)
    return found


def own_board(folder: Path) -> Seen:
    """What stands on the supervisor's own. Raises OSError where it has just gone."""
    return read_board(folder / _OWN)


def board_above(child: Board) -> Board | None:
    """The board of a child's supervisor."""
    path = child.path.with_name(_OWN) if child.path is not None else None
    return Board(path) if path is not None and path.exists() else None


def _clear(base: Path, about: About) -> None:
    """Remove what killed ones have left. What another machine has left stays, since its locks may
    not reach here."""
    for found in supervisors(base):
        ours = found.about.boot == about.boot or found.about.host == about.host
        if ours and not found.lives:
            shutil.rmtree(found.folder, ignore_errors=True)


# Whether a supervisor lives is told by a lock that ends with its process. Its number alone would
# not do: another process may bear it by now, and in a container every supervisor is process 1.


def _held(folder: Path) -> int | None:
    """Take the lock. Answers what holds it; None where there are no such locks."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return None
    file = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _is_held(folder: Path, about: About) -> bool:
    """Raises OSError where the folder has just gone."""
    try:
        import fcntl
    except ModuleNotFoundError:
        import psutil

        return psutil.pid_exists(about.pid)
    file = os.open(folder / _LOCK, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
