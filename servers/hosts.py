"""Hosts for tests, on this machine: each with an address, a name, processes and a wall clock of its
own, on a network of which one can be cut off.

They are Linux namespaces, so they need root. Whatever happens to the tests, nothing stays: a host
ends with the process that made it, and the kernel removes what belonged to it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil

from servers import cable, holder
from servers.clock import Clock
from servers.find import binary

#: What `Network` and `Host` run, by the names in `servers.find`.
PROGRAMS = ("ip", "unshare", "nsenter")
#: Seconds that anything here may take: a busy machine is no failure.
PATIENCE = 30.0


class NoHosts(Exception):
    """This machine, or who runs the tests, cannot make hosts: says why."""


class Network:
    """One network, with this machine itself at `address` on `interface`: servers that listen there
    are reached by all hosts. Raises NoHosts, Missing."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise NoHosts("Hosts for tests are network namespaces: only root can make them.")
        for program in PROGRAMS:
            binary(program)
        self._open = ExitStack()
        self._hosts: list[Host] = []
        self._switch = _Namespaces("switch", self._open, own_pids=True)
        try:
            self._prefix, self.interface = self._link_up()
            self.address = f"{self._prefix}.1"
            self._switch.ip(
                "link add br0 type bridge",
                "link set br0 up",
                "link set up0 master br0",
                "link set up0 up",
            )
            _ip(
                f"address add {self.address}/24 dev {self.interface}",
                f"link set {self.interface} up",
            )
            self._hardware = _hardware(self.interface)
        except BaseException:
            self.stop()
            raise

    def host(
        self, name: str, *, clock: float = 0.0, delay: float = 0.0, own_pids: bool = True
    ) -> Host:
        """A new host. Its wall clock is `clock` seconds ahead, and what it sends and receives takes
        `delay` seconds each way. Without `own_pids` its processes have numbers of this machine, and
        whoever starts them ends them."""
        number = len(self._hosts) + 2
        namespaces = _Namespaces(name, self._open, own_pids=own_pids)
        self._connect(namespaces, f"port{number}", delay)
        host = Host(
            name,
            f"{self._prefix}.{number}",
            namespaces,
            self._switch,
            port=f"port{number}",
            server=f"{self.address} lladdr {self._hardware}",
            clock=clock,
        )
        self._hosts.append(host)
        return host

    def stop(self) -> None:
        """Ends every host with all that runs on it. Stopping twice is fine."""
        for each in self._hosts:
            each.crash()
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _connect(self, host: _Namespaces, port: str, delay: float) -> None:
        if delay:
            ends = (str(self._switch.pid), port, str(host.pid), "eth0")
            _start(self._open, [sys.executable, "-I", "-S", cable.__file__, *ends, str(delay)])
        else:
            _ip(
                f"link add {port} netns {self._switch.pid} type veth"
                f" peer name eth0 netns {host.pid}"
            )
        self._switch.ip(f"link set {port} master br0", f"link set {port} up")

    def _link_up(self) -> tuple[str, str]:
        """The cable from this machine to the switch. Its name tells the network's number, so that
        of several runs each gets one of its own."""
        taken = _routed()
        for n in range(os.getpid(), os.getpid() + 1000):
            prefix, uplink = f"10.{n >> 8 & 255}.{n & 255}", f"tabur{n & 0xFFFF:04x}"
            if any(ipaddress.IPv4Network(f"{prefix}.0/24").overlaps(each) for each in taken):
                continue
            with contextlib.suppress(_InUse):
                _ip(f"link add {uplink} type veth peer name up0 netns {self._switch.pid}")
                return prefix, uplink
        raise NoHosts("No network of 10.0.0.0/8 is free on this machine.")


class Host:
    """One host. Its files are this machine's."""

    def __init__(
        self,
        name: str,
        address: str,
        namespaces: _Namespaces,
        switch: _Namespaces,
        *,
        port: str,
        server: str,
        clock: float,
    ) -> None:
        self.name = name
        self.address = address
        self._namespaces = namespaces
        self._switch = switch
        self._port = port
        self._server = server
        self._clock = clock
        self._started: list[subprocess.Popen[bytes]] = []
        namespaces.ip("link set lo up", f"address add {address}/24 dev eth0")
        self.mend()

    def start(
        self,
        *command: str | Path,
        cwd: Path,
        log: Path,
        environment: Mapping[str, str] = {},
    ) -> HostProcess:
        """Starts a program there; what it prints is appended to `log`."""
        environment = {**os.environ, **environment}
        if self._clock:
            clock = Clock(log.parent / f"clock-{self.name}", ahead=self._clock)
            environment = clock.environment(environment)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*self._namespaces.inside, "env", f"--chdir={cwd}", *map(str, command)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return HostProcess(process, log)

    @property
    def inside(self) -> Sequence[str]:
        """Before a command: runs it there."""
        return self._namespaces.inside

    def cut(self) -> None:
        """Take its link down: what it sends now fails at once, and what it had sent and was to
        receive is lost, which nobody tells the other side."""
        self._namespaces.ip("link set eth0 down")

    def swallow(self) -> None:
        """Let all that it sends and is sent vanish, as a firewall or a broken switch does: neither
        side is told."""
        self._switch.ip(f"link set {self._port} nomaster")

    def mend(self) -> None:
        """After `cut` and `swallow`."""
        self._switch.ip(f"link set {self._port} master br0")
        # The server's hardware address is known for good: a question for it that nobody answers
        # would tell the host within three seconds that the server cannot be reached.
        self._namespaces.ip(
            "link set eth0 up", f"neighbour replace {self._server} dev eth0 nud permanent"
        )

    def renumber(self) -> None:
        """Give it another address. What connections were made from the old one are dead, and
        neither side is told."""
        old, (network, _, number) = self.address, self.address.rpartition(".")
        self.address = f"{network}.{(int(number) + 100) % 200}"
        # In this order: with the first address of a network go all its others.
        self._namespaces.ip(
            f"address del {old}/24 dev eth0", f"address add {self.address}/24 dev eth0"
        )

    def crash(self) -> None:
        """SIGKILL to every process of it at once. It does not come back."""
        self._namespaces.end()
        for each in self._started:
            each.wait(PATIENCE)

    def has(self, pid: int) -> bool:
        """Whether a process of this machine runs there."""
        return self._namespaces.hold(pid)


class HostProcess:
    """A program that runs on a host."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def has_left(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        # What we have started only waits for the program in the host's own pid namespace.
        with contextlib.suppress(psutil.NoSuchProcess):
            for program in psutil.Process(self._process.pid).children():
                program.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        return self._process.wait(seconds)

    def stop(self) -> None:
        """SIGTERM, a second one, SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            self.signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(10.0)
                return


class _InUse(Exception):
    """An interface of that name is there already."""


class _Namespaces:
    """Those of one host, or of the switch; `pid` is their first process, as seen from here."""

    def __init__(self, name: str, open_in: ExitStack, *, own_pids: bool) -> None:
        self._own_pids = own_pids
        self._started = _start(
            open_in,
            [
                *(str(binary("unshare")), "--net", "--uts", "--mount", "--pid", "--fork"),
                *("--kill-child", "--mount-proc"),
                *(sys.executable, "-I", "-S", holder.__file__, name),
            ],
        )
        (first,) = psutil.Process(self._started.pid).children()
        self.pid = first.pid
        self._pids = Path(f"/proc/{self.pid}/ns/pid").readlink()

    @property
    def inside(self) -> Sequence[str]:
        also = ("--mount", "--pid") if self._own_pids else ()
        return [str(binary("nsenter")), f"--target={self.pid}", "--net", "--uts", *also, "--"]

    def ip(self, *commands: str) -> None:
        _ip(*commands, inside=self.inside)

    def hold(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/ns/pid").readlink() == self._pids
        except OSError:
            return False  # it is gone

    def end(self) -> None:
        _end(self._started)


def _start(open_in: ExitStack, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts what lives until its input ends; returns when it is ready."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in the terminal of the tests is for the tests
    )
    open_in.callback(_end, process)
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != b"ready\n":
        said = process.stderr.read().decode("utf-8", "replace").strip()
        raise NoHosts(f"{Path(command[0]).name} cannot do here what a host needs: {said}")
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ip(*commands: str, inside: Iterable[str] = ()) -> None:
    """Runs commands of `ip`, in one process. Raises _InUse, NoHosts."""
    done = subprocess.run(
        [*inside, str(binary("ip")), "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )
    if "File exists" in done.stderr:
        raise _InUse(done.stderr)
    if done.returncode:
        raise NoHosts(f"ip cannot do here what hosts need ({'; '.join(commands)}): {done.stderr}")


def _routed() -> list[ipaddress.IPv4Network]:
    """The networks that this machine knows a way to, but for the way to all others."""
    shown = subprocess.run(
        [str(binary("ip")), "-4", "-json", "route", "show", "table", "all"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = [each["dst"] for each in json.loads(shown or "[]")]
    return [ipaddress.IPv4Network(each) for each in found if each != "default"]


def _hardware(interface: str) -> str:
    return Path(f"/sys/class/net/{interface}/address").read_text().strip()
