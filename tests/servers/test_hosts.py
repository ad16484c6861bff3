"""Hosts differ in address, name and clock, can be cut off, and leave nothing behind."""

from __future__ import annotations

import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import psutil
import pytest

from servers.hosts import Host, Network
from tests.servers.test_servers import ROOT, wait_until

CONNECT = """
import socket, sys, time
began = time.monotonic()
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.5).close()
    print("connected", time.monotonic() - began)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


#: Asks again and again on one connection.
ASK = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.5)
while True:
    try:
        connection.send(b"?")
        print("answered" if connection.recv(1) else "hung up", flush=True)
    except TimeoutError:
        print("silence", flush=True)
    time.sleep(0.01)
"""


@pytest.fixture
def door(network: Network) -> Iterator[tuple[str, str]]:
    """Where somebody answers on the network."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while asked := self.request.recv(1):
                self.request.send(asked)

    with socketserver.ThreadingTCPServer((network.address, 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield network.address, str(server.server_address[1])
        server.shutdown()


def said(host: Host, place: Path, code: str, *arguments: str) -> list[str]:
    log = place / f"{host.name}-{time.monotonic_ns()}.log"
    process = host.start(sys.executable, "-c", code, *arguments, cwd=place, log=log)
    assert process.wait() == 0, process.output
    return process.output.split()


def test_each_has_a_name_an_address_and_a_wall_clock_of_its_own(
    network: Network, tmp_path: Path, door: tuple[str, str]
) -> None:
    hosts = [network.host("ahead", clock=3600), network.host("behind", clock=-3600)]
    code = """
import socket, sys, time
own = socket.create_connection((sys.argv[1], int(sys.argv[2]))).getsockname()[0]
time.sleep(0.01)
print(socket.gethostname(), own, time.time(), time.monotonic())
"""
    before, wall = time.monotonic(), time.time()
    told = [said(host, tmp_path, code, *door) for host in hosts]
    after = time.monotonic()
    assert [each[:2] for each in told] == [[host.name, host.address] for host in hosts]
    assert all(before <= float(each[3]) <= after for each in told)
    assert [round((float(each[2]) - wall) / 3600, 1) for each in told] == [1.0, -1.0]


def test_who_is_cut_off_is_told_and_whose_packets_are_swallowed_is_not(
    network: Network, tmp_path: Path, door: tuple[str, str]
) -> None:
    host = network.host("here")
    assert said(host, tmp_path, CONNECT, *door)[0] == "connected"
    host.cut()
    assert said(host, tmp_path, CONNECT, *door) == ["OSError", "101"]  # network is unreachable
    host.mend()
    assert said(host, tmp_path, CONNECT, *door)[0] == "connected"
    host.swallow()
    assert said(host, tmp_path, CONNECT, *door)[0] == "TimeoutError"
    host.mend()
    assert said(host, tmp_path, CONNECT, *door)[0] == "connected"


def test_a_connection_from_an_old_address_is_dead_and_nobody_is_told(
    network: Network, tmp_path: Path, door: tuple[str, str]
) -> None:
    host = network.host("here")
    log = tmp_path / "asking"
    asking = host.start(sys.executable, "-c", ASK, *door, cwd=tmp_path, log=log)
    wait_until(lambda: "answered" in asking.output)
    old = host.address
    host.renumber()
    assert host.address != old
    wait_until(lambda: "silence" in asking.output)
    assert said(host, tmp_path, CONNECT, *door)[0] == "connected"
    assert "hung up" not in asking.output
    assert not asking.has_left


def test_far_away_a_round_trip_takes_its_time(
    network: Network, tmp_path: Path, door: tuple[str, str]
) -> None:
    verdict, seconds = said(network.host("far", delay=0.1), tmp_path, CONNECT, *door)
    assert verdict == "connected"
    assert float(seconds) >= 0.2


def test_a_signal_reaches_the_program_and_a_crash_all_of_them(
    network: Network, tmp_path: Path
) -> None:
    host = network.host("here")
    one, other = (
        host.start("sleep", "1000", cwd=tmp_path, log=tmp_path / name) for name in ("one", "other")
    )
    wait_until(lambda: len(sleeping(host)) == 2)
    one.signal(SIGTERM)
    one.wait()
    assert len(sleeping(host)) == 1
    host.crash()
    other.wait()
    assert not sleeping(host)


def test_nothing_is_left_when_the_process_that_made_them_is_killed(
    network: Network, tmp_path: Path
) -> None:
    code = f"""
from pathlib import Path
from servers.hosts import Network
network = Network()
host = network.host("there", delay=0.01)
host.start("sleep", "1000", cwd=Path("/"), log=Path({str(tmp_path / "log")!r}))
print(network.interface, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as maker:
        assert maker.stdout is not None
        interface = Path("/sys/class/net") / maker.stdout.readline().strip()
        assert interface.exists()
        family = psutil.Process(maker.pid).children(recursive=True)
        assert len(family) >= 6
        maker.kill()
    wait_until(lambda: not any(each.is_running() for each in family))
    wait_until(lambda: not interface.exists())


def sleeping(host: Host) -> list[psutil.Process]:
    return [
        each
        for each in psutil.process_iter(["name"])
        if each.info["name"] == "sleep" and host.has(each.pid)
    ]
