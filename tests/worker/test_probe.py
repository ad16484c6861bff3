"""What is told of a worker from outside, by what lies in its run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from tabur.worker.board import Board, Doing
from tabur.worker.load import LOADING
from tabur.worker.supervision.folder import About, RunFolder
from tabur.worker.supervision.probe import HostSeen, SupervisorSeen, probe

WITHIN = 60.0
LATE = WITHIN + 5


class Supervisor:
    """As one leaves word: `looked`, `answered` and those of children are seconds ago."""

    def __init__(
        self, base: Path, *, pause: float = 1.0, processes: int = 2, host: str = ""
    ) -> None:
        about = About(os.getpid(), "shop:jobs", "database", ("default",), processes, pause)
        if host:
            about = msgspec.structs.replace(about, host=host)
        self.folder = RunFolder(base, about)
        self.looked(0.1)

    def looked(self, ago: float, answered: float = 3.0) -> None:
        self.folder.board.looked(monotonic() - ago)
        self.folder.board.turned(monotonic() - answered)

    def child(
        self,
        doing: Doing = Doing.WORKING,
        *,
        looked: float = 0.2,
        polled: float | None = 0.5,
        name: str = "one",
    ) -> Board:
        board = Board(self.folder.path / f"{name}.board", slots=2)
        board.belongs_to(4711)
        board.looked(monotonic() - looked)
        if doing is not Doing.STARTING:
            board.does(doing)
        if polled is not None:
            board.turned(monotonic() - polled)
        return board


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.folder.remove()


def look(supervisor: Supervisor, within: float = WITHIN) -> HostSeen:
    return probe(supervisor.folder.base, within=within)


def one(supervisor: Supervisor) -> SupervisorSeen:
    (seen,) = look(supervisor).supervisors
    return seen


def test_all_is_well(supervisor: Supervisor) -> None:
    board = supervisor.child()
    board.counts(started=5, ended=3, busy=1.0)
    board.runs([b"a" * 16, b"b" * 16], [0.0, 0.0], shared=2)
    supervisor.child(Doing.RETIRING, name="other")
    seen = look(supervisor)
    assert (seen.alive, seen.ready) == (True, True)
    (first,) = seen.supervisors
    assert (first.pid, first.queues, first.wanted) == (os.getpid(), ("default",), 2)
    process, other = first.processes
    assert (process.worker, process.pid, process.doing) == ("one", 4711, "working")
    assert (process.running, process.ended) == (2, 3)
    assert process.looked is not None
    assert process.polled is not None
    assert 0.2 <= process.looked < process.polled
    assert other.doing == "retiring"


def test_nobody_is_not_well(tmp_path: Path) -> None:
    assert probe(tmp_path / "nowhere", within=WITHIN) == HostSeen(False, False, (), ())


def test_a_supervisor_that_hangs(supervisor: Supervisor) -> None:
    supervisor.child()
    supervisor.looked(LATE)
    assert not look(supervisor).alive
    assert one(supervisor).wrong == f"has not looked after its processes for {LATE:.0f} s"


def test_a_process_that_hangs(supervisor: Supervisor) -> None:
    supervisor.child(name="well")
    supervisor.child(looked=LATE, polled=0.5)
    assert not look(supervisor).alive
    assert look(supervisor, within=LATE + 5).alive
    hung, well = one(supervisor).processes
    assert hung.wrong == f"has not looked after its jobs for {LATE:.0f} s"
    assert well.wrong is None


@pytest.mark.parametrize("doing", [Doing.RETIRING, Doing.ENDING])
def test_who_ends_may_be_deaf_but_not_hang(supervisor: Supervisor, doing: Doing) -> None:
    supervisor.child(doing, polled=LATE * 2)
    assert look(supervisor).alive
    supervisor.child(doing, looked=LATE)
    assert not look(supervisor).alive


def test_who_is_deaf_to_a_store_that_answers_others(supervisor: Supervisor) -> None:
    supervisor.child(polled=LATE)
    assert one(supervisor).processes[0].wrong == (
        f"has not polled for {LATE:.0f} s, while the store answers its supervisor"
    )


def test_who_has_never_heard_of_the_store_has_until_then(supervisor: Supervisor) -> None:
    board = supervisor.child(polled=None)
    assert look(supervisor).alive
    assert not look(supervisor).ready
    supervisor.looked(0.1, answered=-LATE)  # as if it had begun so long ago
    assert not look(supervisor).alive
    board.turned(monotonic() + LATE)
    assert look(supervisor).alive


def test_a_store_that_is_down_is_no_reason_for_a_restart(supervisor: Supervisor) -> None:
    supervisor.looked(0.1, answered=LATE * 10)
    supervisor.child(polled=LATE * 10 + 2)
    seen = look(supervisor)
    assert (seen.alive, seen.ready) == (True, False)
    assert one(supervisor).unready == "the store has not answered for 650 s"


def test_a_long_pause_between_two_looks_is_no_deafness(tmp_path: Path) -> None:
    sleeper = Supervisor(tmp_path, pause=600.0)
    sleeper.child(polled=601.0)
    assert look(sleeper).ready
    sleeper.folder.remove()


def test_an_app_may_take_minutes_to_load(supervisor: Supervisor) -> None:
    supervisor.child(Doing.STARTING, looked=LOADING - 5, polled=None)
    seen = look(supervisor)
    assert (seen.alive, seen.ready) == (True, False)
    assert one(supervisor).unready == "no process has begun to work"
    supervisor.child(Doing.STARTING, looked=LOADING + 5, polled=None)
    assert one(supervisor).processes[0].wrong == "has been loading the app for 305 s"


def test_who_stops_is_alive_and_not_ready(supervisor: Supervisor) -> None:
    supervisor.child()
    supervisor.folder.board.does(Doing.ENDING, "SIGTERM")
    seen = look(supervisor)
    assert (seen.alive, seen.ready) == (True, False)
    assert one(supervisor).unready == "it is stopping (SIGTERM)"


def test_where_no_process_is_needed_none_is_missed(tmp_path: Path) -> None:
    balanced = Supervisor(tmp_path, processes=0)
    assert look(balanced).ready
    balanced.child(Doing.ENDING)
    assert look(balanced).ready
    balanced.folder.remove()


def test_others_that_share_the_folder_are_named_and_not_judged(supervisor: Supervisor) -> None:
    supervisor.child()
    other = Supervisor(supervisor.folder.base, host="another")
    other.looked(LATE)
    seen = look(supervisor)
    assert seen.alive
    assert seen.elsewhere == ("another",)
    other.folder.remove()


# the dead

KILLED = """
import os, sys
from pathlib import Path
from tabur.worker.supervision.folder import About, RunFolder
about = About(os.getpid(), "shop:jobs", "database", ("default",), 1, 1.0{more})
folder = RunFolder(Path(sys.argv[1]), about)
print(folder.path, flush=True)
sys.stdin.read()
os._exit(9)
"""


def killed(base: Path, more: str = "") -> Path:
    """The folder of one that has died without a word."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(more=more), str(base)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    return Path(done.stdout.strip())


def test_a_killed_one_is_told_whoever_bears_its_number_by_now(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    folder = killed(tmp_path)
    about = folder / "about.json"
    recycled = json.loads(about.read_text()) | {"pid": os.getpid()}
    about.write_text(json.dumps(recycled))
    supervisor.child()
    seen = look(supervisor)
    assert (seen.alive, seen.ready) == (False, False)
    assert sorted(filter(None, (each.wrong for each in seen.supervisors))) == [
        "was killed, and none was started since"
    ]


def test_the_next_one_clears_up_after_it_and_after_nobody_else(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    of_before = killed(tmp_path, ', boot="of-before"')
    of_a_container = killed(tmp_path, ', host="gone"')
    of_another_machine = killed(tmp_path, ', boot="other", host="other"')
    unfinished = tmp_path / "1-abcdef"
    unfinished.mkdir()
    following = Supervisor(tmp_path)
    assert not of_before.exists()
    assert not of_a_container.exists()
    assert of_another_machine.exists()
    assert unfinished.exists()
    assert supervisor.folder.path.exists()
    following.folder.remove()
    assert not following.folder.path.exists()


def test_what_a_supervisor_starts_does_not_keep_it_alive(tmp_path: Path) -> None:
    """A process that outlives it holds no copy of its lock."""
    starts = KILLED.replace(
        "sys.stdin.read()",
        "import subprocess\n"
        "kept = subprocess.Popen(['sleep', '60'], stdout=-3, start_new_session=True)\n"
        "print(kept.pid, flush=True)\n"
        "sys.stdin.read()",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starts.format(more=""), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    started = int(process.stdout.readline())
    try:
        assert probe(tmp_path, within=WITHIN).alive
        process.kill()
        process.communicate()
        assert not probe(tmp_path, within=WITHIN).alive
    finally:
        os.kill(started, signal.SIGKILL)
