"""What systemd is told, at a socket of ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tabur import State
from tabur.worker.supervision.notify import Notifier
from tests.worker.workshop import Workshop, reaches, until


class Systemd:
    """Listens at `address`, as NOTIFY_SOCKET names it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.bind(address.replace("@", "\0", 1))
        self._door.setblocking(False)
        self._heard: list[str] = []

    @property
    def heard(self) -> list[str]:
        """All lines since the beginning."""
        try:
            while True:
                self._heard += self._door.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self._heard

    def close(self) -> None:
        self._door.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    path = str(tmp_path / "notify")
    made = Systemd(path if request.param == "path" else f"@{path}")
    yield made
    made.close()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def notifier(
    systemd: Systemd, clock: Clock | None = None, more: Mapping[str, str] | None = None
) -> Notifier:
    environment = {"NOTIFY_SOCKET": systemd.address, **(more or {})}
    return Notifier(environment, clock=clock or Clock())


def test_ready_once_it_works_and_stopping_once_it_stops(systemd: Systemd) -> None:
    one = notifier(systemd)
    one.tell(working=False, stopping=False)
    assert systemd.heard == []
    for _ in range(3):
        one.tell(working=True, stopping=False)
    one.tell(working=False, stopping=False)  # a child is replaced
    one.tell(working=True, stopping=False)
    assert systemd.heard == ["READY=1"]
    one.tell(working=True, stopping=True)
    one.tell(working=False, stopping=True)
    assert systemd.heard == ["READY=1", "STOPPING=1"]


def test_who_stops_before_it_worked_was_never_ready(systemd: Systemd) -> None:
    one = notifier(systemd)
    one.tell(working=False, stopping=True)
    assert systemd.heard == ["STOPPING=1"]


def test_a_line_for_people_when_it_changes_and_not_all_the_time(systemd: Systemd) -> None:
    clock = Clock()
    one = notifier(systemd, clock)
    for status in ("one", "one", "two", "three"):
        one.tell(working=True, stopping=False, status=status)
    assert systemd.heard == ["READY=1", "STATUS=one"]
    clock.now += 1.0
    for status in ("four", "five"):
        one.tell(working=True, stopping=False, status=status)
    assert systemd.heard == ["READY=1", "STATUS=one", "STATUS=four"]


def test_a_sign_of_life_twice_in_the_time_that_it_is_given(systemd: Systemd) -> None:
    clock = Clock()
    one = notifier(systemd, clock, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    for _ in range(61):
        one.tell(working=False, stopping=True)
        clock.now += 1.0
    assert systemd.heard.count("WATCHDOG=1") == 5  # at 0, 15, 30, 45 and 60 s


@pytest.mark.parametrize(
    "watchdog",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_watchdog_no_sign_is_given(systemd: Systemd, watchdog: dict[str, str]) -> None:
    notifier(systemd, more=watchdog).tell(working=True, stopping=False)
    assert systemd.heard == ["READY=1"]


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/nobody/listens", "@nobody-listens"])
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).tell(working=True, stopping=False)


def test_who_does_not_read_holds_up_nobody(systemd: Systemd) -> None:
    clock = Clock()
    one = notifier(systemd, clock)
    for n in range(10_000):
        clock.now += 1.0
        one.tell(working=n > 5_000, stopping=False, status=f"{n}")
    assert "READY=1" not in systemd.heard, "there was no room for it"
    one.tell(working=True, stopping=False)
    assert "READY=1" in systemd.heard, "so it is said again"


def test_a_real_worker(shop: Workshop, systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    (file,) = shop.folder.glob("workshop_*.py")
    waits = """
import __main__
if __main__.__spec__ and __main__.__spec__.name == "tabur.worker.child":
    while not Path("go").exists():
        time.sleep(0.02)
"""
    file.write_text(file.read_text("utf-8") + waits, "utf-8")
    worker = shop.worker()
    until(lambda: systemd.heard.count("WATCHDOG=1") >= 3)
    assert "READY=1" not in systemd.heard, "no process has begun to work"
    (shop.folder / "go").touch()
    until(lambda: "READY=1" in systemd.heard)
    running = shop.module.patient.dispatch(seconds=1.0)
    until(lambda: "STATUS=1 process, 1 job running" in systemd.heard)
    worker.stop()
    until(lambda: "STOPPING=1" in systemd.heard)
    worker.ended()
    reaches(running, State.COMPLETED)
    assert "STATUS=Finishing 1 job" in systemd.heard
    assert systemd.heard.count("READY=1") == 1
