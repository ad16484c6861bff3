"""A worker as process 1 of a container, and on a disk that is full: in namespaces of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tabur import State
from tests.worker.workshop import CEILING, Worker, Workshop, reaches, until

MORE = """
import subprocess


@jobs.job()
def leaves_a_daemon(ctx: JobContext) -> None:
    \"\"\"What starts daemons: a process in a session of its own, whose parent goes.\"\"\"
    leave = "import subprocess; subprocess.Popen(['sleep', '3'], start_new_session=True)"
    subprocess.run(["python", "-c", leave], check=True)
    note("leaves_a_daemon", os.getpid())


@jobs.job(isolation="process")
def leaves_a_daemon_alone(ctx: JobContext) -> None:
    leaves_a_daemon.function(ctx)
"""


@pytest.fixture(scope="module", autouse=True)
def _allowed(require: Callable[..., None]) -> None:
    """Who may not make namespaces is told so."""
    require("unshare")
    tried = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        why = f"Only root can make namespaces here: {tried.stderr.strip()}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


@pytest.fixture
def shop(shop: Workshop) -> Workshop:
    shop.environment["TABUR_RUN"] = "run"
    (file,) = shop.folder.glob("workshop_*.py")
    file.write_text(file.read_text("utf-8") + MORE, "utf-8")
    shop.reload()
    return shop


class FirstProcess(Worker):
    """`tabur queue:work` as process 1: `pid` is its number outside."""

    def __init__(self, shop: Workshop, *options: str) -> None:
        self._file = shop.folder / "first.txt"
        command = [sys.executable, "-m", "tabur", "queue:work", *options]
        with self._file.open("wb") as out:
            self.process = subprocess.Popen(
                ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *command],
                cwd=shop.folder,
                env=os.environ | shop.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        (first,) = psutil.Process(self.process.pid).children()
        return first.pid

    def close(self) -> None:
        self.process.kill()  # and with it, all in its namespace
        self.process.wait()


@pytest.fixture
def first(shop: Workshop) -> Iterator[FirstProcess]:
    made = FirstProcess(shop, "--grace=20")
    yield made
    made.close()


def zombies(pid: int) -> list[psutil.Process]:
    below = psutil.Process(pid).children(recursive=True)
    return [each for each in below if is_zombie(each)]


def is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_as_process_1_it_works_and_stops_when_told(shop: Workshop, first: FirstProcess) -> None:
    handles = [
        shop.module.quick.dispatch(),
        shop.module.light.dispatch(),
        shop.module.hangs_alone.dispatch(),
    ]
    for handle in handles[:2]:
        reaches(handle, State.COMPLETED)
    reaches(handles[2], State.FAILED)  # at its timeout
    assert {each.pid for each in shop.children()}.isdisjoint({first.pid})
    inside = Path(f"/proc/{first.pid}/status").read_text("ascii")
    assert "\nNSpid:" in inside
    assert next(line for line in inside.splitlines() if line.startswith("NSpid")).split()[-1] == "1"

    running = shop.module.patient.dispatch(seconds=1.0)
    shop.noted("patient")
    os.kill(first.pid, signal.SIGTERM)
    first.ended()
    assert running.status().state is State.COMPLETED
    assert first.output.endswith("  Stopped: SIGTERM.\n")
    assert shop.children() == []


def test_as_process_1_it_ends_now_at_a_second_signal(shop: Workshop, first: FirstProcess) -> None:
    running = shop.module.patient.dispatch()
    shop.noted("patient")
    pid = first.pid
    os.kill(pid, signal.SIGTERM)
    until(lambda: "A second signal ends them now" in first.output)
    os.kill(pid, signal.SIGTERM)
    first.ended()
    assert (running.status().state, running.status().attempt) == (State.PENDING, 0)
    assert shop.children() == []


@pytest.mark.parametrize("job", ["leaves_a_daemon", "leaves_a_daemon_alone"])
def test_as_process_1_it_buries_what_lost_its_parent(
    shop: Workshop, first: FirstProcess, job: str
) -> None:
    handles = [getattr(shop.module, job).dispatch() for _ in range(4)]
    seen: set[int] = set()

    def adopted() -> bool:
        for each in psutil.Process(first.pid).children():
            with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
                if each.status() != psutil.STATUS_ZOMBIE and each.name() == "sleep":
                    seen.add(each.pid)
        return len(seen) >= 1

    until(adopted, "a process came to process 1")
    for handle in handles:
        reaches(handle, State.COMPLETED)
    until(lambda: not zombies(first.pid), f"{zombies(first.pid)}")
    until(lambda: not any(map(psutil.pid_exists, seen)))
    shop.module.quick.dispatch()
    shop.noted("quick")


FULL = """
import errno, sys
from pathlib import Path
from tabur.worker.board import Board
try:
    Board(Path(sys.argv[1]) / "one.board", slots=500).looked(1.0)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
    print("refused")
"""


def test_a_board_on_a_full_disk_is_an_error_and_not_the_end_of_its_process(tmp_path: Path) -> None:
    """Written to by way of memory, it would be killed by SIGBUS."""
    fill = f"mount -t tmpfs -o size=64k none {tmp_path} && ! head -c 1M /dev/zero >{tmp_path}/fill"
    inside = ["unshare", "--mount", "sh", "-c", f'{fill}; exec "$@" {tmp_path}', "sh"]
    done = subprocess.run(
        [*inside, sys.executable, "-c", FULL],
        capture_output=True,
        text=True,
        timeout=CEILING,
        check=False,
    )
    assert done.stdout == "refused\n", done.stderr
