"""What deploy:supervisor writes, run by Debian's supervisord, as Debian includes such files."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from servers.supervisord import Supervisord
from tests.deploy.yard import Yard, until

#: Workers are started, killed and stopped here, by processes that start a Python each.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def supervisord(yard: Yard, require: Callable[..., None]) -> Iterator[Supervisord]:
    require("supervisord", "supervisorctl")
    yard.write(".env", "GREETING='good day; # all'\n").chmod(0o600)
    yard.tabur("migrate")
    with tempfile.TemporaryDirectory(prefix="tabur-") as folder:
        # Root writes the file, for a user without rights.
        yard.tabur(
            "deploy:supervisor",
            f"--user={yard.user}",
            f"--executable={yard.executable}",
            "--processes=2",
            "--no-scheduler",
            f"--log={folder}",
            f"--out={folder}/conf.d/",
            "--",
            "--grace=20",
            as_root=True,
        )
        made = Supervisord(Path(folder), yard.environment)
        try:
            until(lambda: len(made.pids()) == 2)
            yield made
        finally:
            made.close()


def test_a_worker_comes_back_and_loses_no_job(yard: Yard, supervisord: Supervisord) -> None:
    yard.dispatch("quick(n=1), told()")
    assert yard.noted("quick") == [f"quick 1 {yard.uid}"], "it runs as the user that was named"
    assert yard.noted("told") == ["told good day; # all"], "settings come from a file"

    # killed
    yard.dispatch("patient(n=2), patient(n=3), patient(n=4)")
    yard.noted("began", 3)
    killed = supervisord.pids()
    assert len(killed) == 2
    for pid in killed:
        assert psutil.Process(pid).username() == yard.user
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(fresh := supervisord.pids()) == 2 and not fresh & killed)
    yard.dispatch("quick(n=5)")
    yard.noted("quick 5")
    assert len(yard.noted("ended", 3)) == 3, "what ran was finished, and ran once"

    # stopped, with jobs that run
    yard.dispatch("patient(n=6, seconds=3), patient(n=7, seconds=3)")
    yard.noted("began", 5)
    assert supervisord.ask("stop", "all").count(": stopped\n") == 2
    assert len(yard.ledger("ended")) == 5
    yard.dispatch("quick(n=8)")
    assert yard.unfinished() == 1
    supervisord.ask("start", "all")
    yard.noted("quick 8")
    until(lambda: yard.unfinished() == 0)
    began = [line.split()[1] for line in yard.ledger("began")]
    assert sorted(began) == ["2", "3", "4", "6", "7"], "no job ran twice"


def test_after_a_restart_they_come_back(yard: Yard, supervisord: Supervisord) -> None:
    before = supervisord.pids()
    until(lambda: "2 worker processes" in yard.tabur("queue:restart"))
    until(lambda: len(fresh := supervisord.pids()) == 2 and not fresh & before)
    yard.dispatch("quick(n=1)")
    yard.noted("quick 1")


TICKING = """

@jobs.schedule.every_two_seconds()
@jobs.job(queue="mail")
def tick() -> None:
    note("tick", os.getuid())
"""


def test_what_setup_installs_works_and_ticks(yard: Yard, require: Callable[..., None]) -> None:
    """From nothing: one command as root, and supervisord has all it needs."""
    require("supervisord", "supervisorctl")
    if not yard.is_root:
        pytest.skip("only root installs services")
    main = yard.folder / "shop/main.py"
    yard.write("shop/main.py", main.read_text("utf-8") + TICKING)
    with tempfile.TemporaryDirectory(prefix="tabur-") as name:
        folder = Path(name)
        for made in ("etc/supervisor/conf.d", "usr/bin", "conf.d"):
            (folder / made).mkdir(parents=True)
        (folder / "usr/bin/supervisord").touch()
        yard.tabur("setup", "--yes", f"--user={yard.user}", f"--root={folder}", as_root=True)
        installed = (folder / "etc/supervisor/conf.d/shop.conf").read_text("utf-8")
        moved = installed.replace("/var/log/supervisor/", f"{folder}/")  # not into the machine's
        (folder / "conf.d/shop.conf").write_text(moved, "utf-8")
        supervisord = Supervisord(folder, yard.environment)
        try:
            yard.noted("tick", 2)
            (killed,) = supervisord.pids("shop-scheduler")
            os.kill(killed, signal.SIGKILL)
            until(lambda: supervisord.pids("shop-scheduler") - {killed})
            yard.noted("tick", len(yard.ledger("tick")) + 2)
            assert supervisord.ask("stop", "all").count(": stopped\n") == 2
        finally:
            supervisord.close()
        assert set(yard.ledger("tick")) == {f"tick {yard.uid}"}
        said = (folder / "shop-scheduler_00.log").read_text("utf-8")
        assert "tick" in said
        assert said.endswith(" Stopped.\n"), "SIGTERM was heard"
