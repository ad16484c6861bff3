"""What all servers share: a folder, a port, an account, starting, ending and starting again."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, ClassVar, Literal, Self

from servers import watcher

START = 60.0  # seconds until a server must answer; a busy machine is no failure
STOP = 30.0  # seconds for a server to write what it has and leave
LOOPBACK = "127.0.0.1"
LONGEST_FOLDER = 80  # characters: the address of a unix socket has 107 with the socket's own name
Mode = Literal["immediate", "fast"]


class StartFailed(Exception):
    """A server, or what prepares its data, ended or never answered; shows the end of its log."""


class Server(ABC):
    """One real server: its folder and its processes are gone after `stop()`, or after the process
    that started it, however that one ends."""

    accounts: ClassVar[tuple[str, ...]] = ()
    """Who it runs as where we are root, the first that exists; empty: as we do."""
    immediate: ClassVar[signal.Signals]
    """Makes it crash, and leaves nothing in the kernel."""
    fast: ClassVar[signal.Signals]
    """Makes it leave in good order, without waiting for its clients."""

    port: int

    def __init__(self, parent: Path | None, host: str) -> None:
        self.host = host
        self._account = _account(self.accounts) if os.getuid() == 0 else None
        self.folder = _temporary_folder(parent, self._account)
        self._process: subprocess.Popen[bytes] | None = None
        what = [str(os.getpid()), str(self.folder), str(int(self.immediate))]
        self._watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", watcher.__file__, *what],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C and a killed process group are not for it
        )

    @property
    def pid(self) -> int:
        """Of the server's first process; the last known one while it is down."""
        assert self._process is not None
        return self._process.pid

    @abstractmethod
    def url(self) -> str:
        """What a program on this machine connects to."""

    def restart(self, mode: Mode = "immediate") -> None:
        """Ends it (unless `kill` has done that already) and starts it again: same port and data."""
        self._end(self.fast if mode == "fast" else self.immediate)
        self._launch()

    def kill(self) -> None:
        """SIGKILL to every process of it; `restart` brings it back."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP to every process of it: connections stay, and nobody is answered."""
        self._signal_all(signal.SIGSTOP)
        self._signal_all(signal.SIGSTOP)  # what the first process had just started

    def go_on(self) -> None:
        """SIGCONT: it goes on where `pause` has stopped it."""
        self._signal_all(signal.SIGCONT)

    def stop(self) -> None:
        """Ends it and removes its folder. Stopping twice is fine."""
        self._end(self.immediate)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._watcher.kill()
        self._watcher.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log_tail(self, lines: int = 20) -> str:
        log = self.folder / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    # ------------------------------------------------------------ for the servers themselves

    @abstractmethod
    def _prepare(self) -> None:
        """Makes the data of an empty folder."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """Runs the server in the foreground, in its folder, on its port."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the process started last takes commands now. Raises nothing while it does not."""

    def _begin(self) -> Self:
        try:
            self._prepare()
            self.port = free_port(self.host)
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def _run(self, *command: str | Path) -> None:
        """Runs a command that prepares the data to its end."""
        with self._log() as log:
            process = self._spawn(command, log)
        if process.wait() != 0:
            raise StartFailed(f"{command[0]} failed:\n{self.log_tail()}")

    def _launch(self) -> None:
        with self._log() as log:
            self._process = self._spawn(self._command(), log)
        until = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                what = f"{type(self).__name__} on port {self.port}"
                raise StartFailed(f"{what} does not answer:\n{self.log_tail()}")
            time.sleep(0.01)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        watcher.end_all(self.folder, signal.SIGKILL)  # children that a killed parent left

    def _signal_all(self, how: signal.Signals) -> None:
        watcher.send(watcher.processes_in(self.folder), how)

    def _spawn(self, command: Sequence[str | Path], log: IO[bytes]) -> subprocess.Popen[bytes]:
        account = self._account
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                "HOME": str(self.folder),
                "LC_ALL": "C",
                "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
                "TMPDIR": str(self.folder),
            },
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=() if account else None,
            start_new_session=True,  # Ctrl-C in the terminal of the tests is for the tests
        )

    def _log(self) -> IO[bytes]:
        return (self.folder / "log").open("ab")


def free_port(host: str = LOOPBACK) -> int:
    """A free port of `host` whose neighbour 10,000 above is free too (Redis Cluster's bus).

    Both below the range from which the system serves outgoing connections (32768 and up): while
    a server is down for a moment, no client may be given its port, not even by dialling it.
    """
    while True:
        port = random.randrange(12_000, 22_000)
        if _is_free(host, port) and _is_free(host, port + 10_000):
            return port


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers themselves
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _account(names: tuple[str, ...]) -> pwd.struct_passwd | None:
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _temporary_folder(parent: Path | None, account: pwd.struct_passwd | None) -> Path:
    place = parent or Path(tempfile.gettempdir())
    if len(str(place)) > LONGEST_FOLDER:
        if parent is not None:
            raise ValueError(f"{parent} is too long for a unix socket: {LONGEST_FOLDER} at most")
        place = Path("/tmp")
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tabur-", dir=place.resolve()))
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder
