"""Signals to a real worker: pausing, looking into it, Ctrl-C; and why it stopped, by its words and
its exit code."""

from __future__ import annotations

import errno
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest

from tabur import State
from tabur.errors import StoreUnavailable
from tabur.model.ids import id_bytes
from tabur.worker.board import Seen
from tabur.worker.protocol import Hello
from tabur.worker.supervision.children import Child
from tabur.worker.supervision.folder import boards, supervisors
from tests.worker.test_supervisor import running, supervisor
from tests.worker.workshop import Worker, Workshop, reaches, until

MORE = """
import ctypes


@jobs.job(isolation="thread", queue="frozen")
def freezes() -> None:
    note("freezes", os.getpid())
    ctypes.PyDLL(None).sleep(600)  # in C, and the lock stays held


def in_a_child() -> bool:
    import __main__

    spec = __main__.__spec__
    return spec is not None and spec.name == "tabur.worker.child"
"""


@pytest.fixture
def shop(shop: Workshop) -> Workshop:
    shop.environment["TABUR_RUN"] = str(shop.folder / "run")
    add(shop, MORE)
    return shop


def add(shop: Workshop, source: str) -> None:
    (file,) = shop.folder.glob("workshop_*.py")
    file.write_text(file.read_text("utf-8") + source, "utf-8")
    shop.reload()


def shown(shop: Workshop) -> list[Seen]:
    """The boards of all children."""
    folders = [folder for _, folder, lives in supervisors(shop.folder / "run") if lives]
    return [board for folder in folders for board in boards(folder).values()]


def turns(shop: Workshop, count: int = 3) -> None:
    """Wait until the only child has asked the store so many times more."""
    for _ in range(count):
        (before,) = shown(shop)
        until(partial(_has_turned, shop, before.turned_at))


def _has_turned(shop: Workshop, since: float) -> bool:
    (now,) = shown(shop)
    return now.turned_at > since


def is_clean(shop: Workshop) -> bool:
    """Nobody is registered, nothing is claimed, no run folder is left."""
    driver = shop.jobs.driver
    left = [path for path in (shop.folder / "run").iterdir() if path.is_dir()]
    return not (driver.workers.list() or driver.claiming.holders() or left)


# pausing


def test_usr2_pauses_until_cont_and_what_runs_goes_on(shop: Workshop) -> None:
    running = shop.module.patient.dispatch(seconds=2.0)
    worker = shop.worker("--sleep=0.1")
    shop.noted("patient ")
    worker.process.send_signal(signal.SIGUSR2)
    until(lambda: "Paused: all queues (by signal)." in worker.output)
    turns(shop)
    waiting = shop.module.quick.dispatch()
    turns(shop)
    assert waiting.status().state is State.PENDING
    reaches(running, State.COMPLETED)
    assert waiting.status().state is State.PENDING
    worker.process.send_signal(signal.SIGCONT)
    reaches(waiting, State.COMPLETED)
    assert "Nothing is paused any more." in worker.output
    worker.stop()
    worker.ended()


# looking into it


def test_usr1_prints_the_stacks_of_all_and_ends_nobody(shop: Workshop) -> None:
    handles = [
        shop.module.patient.dispatch(),
        shop.module.patient_light.dispatch(),
        shop.module.patient_alone.dispatch(),
    ]
    worker = shop.worker()
    for name in ("patient ", "patient_light ", "patient_alone "):
        shop.noted(name)
    shop.module.freezes.dispatch()
    frozen = shop.worker("--queue=frozen", "--timeout=0")
    shop.noted("freezes")
    pids = {child.pid for child in shop.children()}
    for each in (worker, frozen):
        each.process.send_signal(signal.SIGUSR1)
    its_own = ("supervisor.py", "in _beating")
    of_its_child = ("Stacks of the worker process ", "in patient", "in run_forever")
    of_a_job = ("Stacks of the process of jobs ", "in patient_alone")
    until(lambda: all(each in worker.output for each in (*its_own, *of_its_child, *of_a_job)))
    until(lambda: "in freezes" in frozen.output)

    (pid,) = {int(line.split()[1]) for line in shop.ledger("freezes")}
    assert pid in pids
    assert {child.pid for child in shop.children()} == pids
    assert len(shop.ledger()) == 4, "none has run a second time"
    for handle in handles[::2]:
        handle.cancel()
        reaches(handle, State.CANCELLED)
    assert [shop.jobs.driver.inspection.attempts(id_bytes(each.id)) for each in handles[1:2]] == [
        []
    ]
    os.kill(pid, signal.SIGKILL)


def test_usr1_ends_nobody_who_is_just_starting(shop: Workshop) -> None:
    add(shop, "\nif in_a_child():\n    while not Path('go').exists():\n        time.sleep(0.01)\n")
    shop.module.patient_alone.dispatch()
    worker = shop.worker("--processes=3")
    until(lambda: "Processing jobs" in worker.output)

    def once_more() -> bool:
        worker.process.send_signal(signal.SIGUSR1)
        return worker.output.count("in load_app") >= 3

    until(once_more)
    (shop.folder / "go").touch()

    def and_again() -> bool:
        worker.process.send_signal(signal.SIGUSR1)
        return bool(shop.ledger("patient_alone"))

    until(and_again)
    until(lambda: len(shop.children()) == 3)
    assert "A worker process" not in worker.output
    assert len(shop.ledger()) == 1


# Ctrl-C

AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "tabur", "queue:work", *sys.argv[1:]])
"""


class AtTerminal(Worker):
    """A worker in the foreground of a terminal of its own; what it prints goes to a file, or
    there."""

    def __init__(self, shop: Workshop, *options: str, on_screen: bool = False) -> None:
        self._file = shop.folder / f"terminal-{len(shop.workers)}.txt"
        self._keyboard, terminal = pty.openpty()
        with self._file.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", AT_TERMINAL, *options],
                cwd=shop.folder,
                env=os.environ | shop.environment,
                stdin=terminal,
                stdout=terminal if on_screen else out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(terminal)
        shop.workers.append(self)

    def ctrl_c(self) -> None:
        os.write(self._keyboard, b"\x03")

    def hang_up(self) -> None:
        os.close(self._keyboard)
        self._keyboard = -1

    def close(self) -> None:
        if self._keyboard >= 0:
            self.hang_up()


@pytest.fixture
def terminal(shop: Workshop) -> Iterator[AtTerminal]:
    made = AtTerminal(shop, "--processes=2", "--concurrency=2")
    yield made
    made.close()


def test_ctrl_c_waits_for_what_runs_and_says_for_which(
    shop: Workshop, terminal: AtTerminal
) -> None:
    jobs = [
        shop.module.patient.dispatch(seconds=2.0),
        shop.module.patient_light.dispatch(seconds=2.0),
        shop.module.patient.dispatch(seconds=2.0),
    ]
    shop.noted("patient", 3)
    later = shop.module.quick.options(queue="later").dispatch()
    terminal.ctrl_c()
    terminal.ended()
    for job in jobs:
        assert job.status().state is State.COMPLETED
        assert f"{job.status().name} {job.id}" in terminal.output
    assert "Waiting up to 30 s for " in terminal.output
    assert "A second signal ends them now; they run again." in terminal.output
    assert terminal.output.endswith("  Stopped: SIGINT.\n")
    assert later.status().state is State.PENDING
    assert is_clean(shop)


def test_ctrl_c_twice_ends_it_now(shop: Workshop, terminal: AtTerminal) -> None:
    jobs = [
        shop.module.patient.dispatch(),
        shop.module.patient_light.dispatch(),
        shop.module.patient_alone.dispatch(),
    ]
    shop.noted("patient", 3)
    terminal.ctrl_c()
    until(lambda: "A second signal ends them now" in terminal.output)
    terminal.ctrl_c()
    assert terminal.ended() < 15  # the target is 3 s
    for job in jobs:
        assert (job.status().state, job.status().attempt) == (State.PENDING, 0)
    assert is_clean(shop)


def test_ctrl_c_twice_ends_even_what_lets_no_thread_run(shop: Workshop) -> None:
    frozen = shop.module.freezes.dispatch()
    worker = shop.worker("--queue=frozen", "--timeout=0")
    shop.noted("freezes")
    worker.process.send_signal(signal.SIGINT)
    worker.process.send_signal(signal.SIGQUIT)
    assert worker.ended() < 20  # the target is 5 s
    assert (frozen.status().state, frozen.status().attempt) == (State.PENDING, 0)
    assert shop.jobs.driver.inspection.attempts(id_bytes(frozen.id)) == []
    assert is_clean(shop)


def test_after_a_second_signal_the_store_has_a_moment_to_take_things_back(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = supervisor(shop, [])
    release = shop.jobs.driver.claiming.release_worker

    def slow(worker: str, **given: Any) -> int:
        sleep(1.0)  # what a busy store may take
        return release(worker, **given)

    monkeypatch.setattr(shop.jobs.driver.claiming, "release_worker", slow)
    with running(one):
        until(shop.children)
    assert shop.children() == []


def test_after_a_second_signal_a_store_that_is_down_is_not_waited_for(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = supervisor(shop, [])

    def fail(worker: str, **given: Any) -> int:
        raise StoreUnavailable("no route to host")

    monkeypatch.setattr(shop.jobs.driver.claiming, "release_worker", fail)
    with running(one):
        until(shop.children)
    assert len(shop.children()) == 1, "others will find it lost"


def test_a_terminal_that_is_closed_stops_it_in_good_order(
    shop: Workshop, terminal: AtTerminal
) -> None:
    running = shop.module.patient.dispatch(seconds=1.0)
    shop.noted("patient")
    terminal.hang_up()
    terminal.ended()
    assert running.status().state is State.COMPLETED
    assert "Stopped: SIGHUP." in terminal.output
    assert is_clean(shop)


def test_a_terminal_that_can_no_longer_be_written_to_harms_no_job(shop: Workshop) -> None:
    terminal = AtTerminal(shop, on_screen=True)
    running = shop.module.patient.dispatch(seconds=1.0)
    alone = shop.module.reports_alone.dispatch()
    shop.noted("patient")
    reaches(alone, State.COMPLETED)
    terminal.hang_up()
    terminal.ended()
    assert (running.status().state, running.status().attempt) == (State.COMPLETED, 1)
    assert shop.ledger() == ["patient 1", "patient-done"]
    assert is_clean(shop)


#: Python gives signals their default back before it lets go of modules.
AS_IT_ENDS = """

class Last:
    def __del__(self, kill=os.kill, pid=os.getpid(), signal=15):
        kill(pid, signal)

last = Last()
"""


def test_a_signal_that_comes_as_it_ends_changes_no_exit_code(shop: Workshop) -> None:
    with (shop.folder / f"{shop.name}.py").open("a", encoding="utf-8") as module:
        module.write("\nimport os\n" + AS_IT_ENDS)
    shop.worker("--stop-when-empty").ended()


def test_what_a_stopped_supervisor_beats_for_no_more_ends_before_others_run_it(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-Z."""
    monkeypatch.setenv("TABUR_BEAT", "0.5")
    monkeypatch.setenv("TABUR_LOST", "6")
    running = shop.module.patient.dispatch()
    worker = shop.worker()
    shop.noted("patient ")
    (child,) = shop.children()
    worker.process.send_signal(signal.SIGSTOP)
    began = monotonic()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert monotonic() - began < 25  # the target is 6 s
    assert running.status().state in (
        State.PENDING,
        State.PROCESSING,
    )  # handed back in time, or not
    other = shop.worker()
    shop.noted("patient ", 2)
    worker.process.send_signal(signal.SIGCONT)
    until(lambda: "A worker process is replaced: its supervisor does not beat." in worker.output)
    other.stop()
    until(lambda: "A second signal ends them now" in other.output)
    other.stop()
    other.ended()
    shop.noted("patient ", 3)
    assert "A worker process ended" not in worker.output, "nobody is to blame"


# why it stopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_it_says_which_signal_stopped_it(shop: Workshop, number: signal.Signals) -> None:
    worker = shop.worker()
    until(lambda: shown(shop) and shown(shop)[0].turned_at)
    worker.process.send_signal(number)
    worker.ended(0)
    assert worker.output.endswith(f"  Stopped: {number.name}.\n")
    assert is_clean(shop)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--once"], "once"),
        (["--max-jobs=1"], "max jobs"),
        (["--max-time=1"], "max time"),
        (["--stop-when-empty"], "empty"),
        (["--stop-when-empty-for=0.5"], "empty for 0.5 s"),
        (["--stop-when-empty", "--processes=2"], "empty"),
    ],
)
def test_it_says_what_it_was_asked_for(shop: Workshop, options: list[str], why: str) -> None:
    shop.module.quick.dispatch()
    worker = shop.worker(*options)
    worker.ended(0)
    assert worker.output.endswith(f"  Stopped: {why}.\n")
    assert shop.ledger() == ["quick 0"]
    assert is_clean(shop)


def test_it_says_that_a_restart_was_asked_for(shop: Workshop) -> None:
    worker = shop.worker()
    until(shop.children)
    shop.run("queue:restart")
    worker.ended(0)
    assert worker.output.endswith("  Stopped: restart asked for.\n")
    assert is_clean(shop)


def test_what_cannot_work_says_so_and_ends_with_78(shop: Workshop) -> None:
    add(shop, "\nif in_a_child():\n    Tabur(lost=1, beat=1)\n")
    worker = shop.worker("--processes=2")
    worker.ended(78)
    assert "tabur: lost=1 is too short beside beat=1" in worker.output
    assert worker.output.endswith("  Stopped: it cannot work, as said above.\n")
    assert is_clean(shop)


def test_a_process_that_grew_is_replaced_and_the_worker_goes_on(shop: Workshop) -> None:
    worker = shop.worker("--memory=150")
    shop.module.fat.dispatch()
    until(lambda: "A worker process is replaced: memory." in worker.output)
    shop.module.quick.dispatch()
    shop.noted("quick")
    worker.stop()
    worker.ended(0)
    assert worker.output.endswith("  Stopped: SIGTERM.\n")


def test_quiet_it_does_not_say_why(shop: Workshop) -> None:
    worker = shop.worker("--quiet")
    until(lambda: shown(shop) and shown(shop)[0].turned_at)
    worker.stop()
    worker.ended(0)
    assert worker.output == ""


# what does not stop it


def test_children_that_die_early_one_after_the_other_are_replaced(shop: Workshop) -> None:
    worker = shop.worker()
    seen: set[int] = set()
    for _ in range(3):
        pid = until(lambda: next((each.pid for each in shop.children() if each.pid not in seen), 0))
        seen.add(pid)
        os.kill(pid, signal.SIGKILL)
    shop.module.quick.dispatch()
    shop.noted("quick")
    assert worker.output.count("killed by SIGKILL") == 3
    worker.stop()
    worker.ended(0)


def test_a_process_that_cannot_be_started_is_tried_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    one = supervisor(shop, said)
    start, tries = Child.start, iter(range(10))

    def start_the_third_time(child: Child, hello: Hello) -> None:
        if next(tries) < 2:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        start(child, hello)

    monkeypatch.setattr(Child, "start", start_the_third_time)
    with running(one):
        until(shop.children)
        assert len(list((shop.folder / "run").glob("*/*.board"))) == 2
    assert sum("Cannot allocate memory" in each for each in said) == 2


def test_a_run_folder_is_gone_where_the_store_fails_at_the_start(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreUnavailable("locked")

    one = supervisor(shop, [])
    monkeypatch.setattr(shop.jobs.driver.control, "signals", fail)
    with pytest.raises(StoreUnavailable):
        one.run()
    assert is_clean(shop)
    assert Path(shop.folder / "run").exists()
