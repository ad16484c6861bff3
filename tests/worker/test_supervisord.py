"""Workers that supervisord starts, watches and stops: Debian's, really run."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from servers.supervisord import Supervisord
from tabur import State
from tests.worker.workshop import Workshop, reaches, until

#: As docs/deployment.md shows it, with places of our own. What a program is called, and how its
#: processes are, is what Laravel's documentation has.
PROGRAM = """
[program:shop-worker]
process_name=%(program_name)s_%(process_num)02d
command={python} -m tabur queue:work --grace=20
directory={project}
numprocs=2
autostart=true
autorestart=true
stopsignal=TERM
stopasgroup=true
killasgroup=true
stopwaitsecs=30
redirect_stderr=true
stdout_logfile={folder}/worker.log
"""


@pytest.fixture
def supervisord(shop: Workshop, require: Callable[..., None]) -> Iterator[Supervisord]:
    require("supervisord", "supervisorctl")
    with tempfile.TemporaryDirectory(prefix="tabur-") as folder:  # short enough for a socket
        programs = Path(folder, "conf.d")
        programs.mkdir()
        text = PROGRAM.format(folder=folder, python=sys.executable, project=shop.folder)
        (programs / "shop.conf").write_text(text, "utf-8")
        made = Supervisord(Path(folder), os.environ | shop.environment)
        try:
            until(lambda: len(made.pids()) == 2 and len(shop.children()) == 2)
            yield made
        finally:
            made.close()


def output(supervisord: Supervisord) -> str:
    """Of the workers."""
    return (supervisord.folder / "worker.log").read_text("utf-8")


def test_it_works_and_stops_without_losing_a_job(shop: Workshop, supervisord: Supervisord) -> None:
    running = [
        shop.module.patient.dispatch(seconds=3.0),
        shop.module.patient_light.dispatch(seconds=3.0),
        shop.module.patient_alone.dispatch(),
    ]
    shop.noted("patient", 3)
    running.pop().cancel()
    said = supervisord.ask("stop", "all")
    assert said.count(": stopped\n") == 2
    for handle in running:
        assert (handle.status().state, handle.status().attempt) == (State.COMPLETED, 1)
    assert output(supervisord).count("  Stopped: SIGTERM.\n") == 2
    assert shop.children() == []
    assert supervisord.ask("status").count("STOPPED") == 2

    waiting = shop.module.quick.dispatch()
    assert waiting.status().state is State.PENDING
    supervisord.ask("start", "all")
    reaches(waiting, State.COMPLETED)


def test_a_signal_to_the_whole_group_is_for_the_supervisor_alone(
    shop: Workshop, supervisord: Supervisord
) -> None:
    """`stopasgroup`: its children are in sessions of their own, and finish what they run."""
    pids = supervisord.pids()
    for child in shop.children():
        parent = psutil.Process(child.pid).ppid()
        assert parent in pids
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid != parent
    running = shop.module.patient.dispatch(seconds=2.0)
    shop.noted("patient")
    for pid in pids:
        os.killpg(pid, signal.SIGTERM)
    reaches(running, State.COMPLETED)
    assert running.status().attempt == 1
    until(lambda: len(fresh := supervisord.pids()) == 2 and not fresh & pids)


def test_it_comes_back_after_it_was_killed(shop: Workshop, supervisord: Supervisord) -> None:
    handles = [shop.module.patient.dispatch(seconds=1.0) for _ in range(6)]
    shop.noted("patient ", 6)
    killed = supervisord.pids()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(fresh := supervisord.pids()) == 2 and not fresh & killed)
    for handle in (*handles, shop.module.quick.dispatch()):
        reaches(handle, State.COMPLETED)
        assert handle.status().attempt == 1
    assert len(shop.ledger("patient-done")) == 6, "what ran was finished, and ran once"


def test_after_a_restart_it_is_started_again(shop: Workshop, supervisord: Supervisord) -> None:
    before = supervisord.pids()
    shop.run("queue:restart")
    until(lambda: len(fresh := supervisord.pids()) == 2 and not fresh & before)
    assert output(supervisord).count("  Stopped: restart asked for.\n") == 2
    shop.module.quick.dispatch()
    shop.noted("quick")
