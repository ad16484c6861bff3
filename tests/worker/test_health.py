"""`tabur health`, beside real workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servers.redis import RedisServer
from tests.worker.workshop import Workshop, make_workshop, until

FREEZES = """
import ctypes


@jobs.job(isolation="thread")
def freezes() -> None:
    note("freezes")
    ctypes.PyDLL(None).sleep(600)  # in C, and the lock stays held
"""


@pytest.fixture
def shop(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    keep_run_folder(shop, monkeypatch)
    return shop


def keep_run_folder(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.environment["TABUR_RUN"] = "var/run"
    monkeypatch.setenv("TABUR_BEAT", "0.2")


def health(shop: Workshop, *options: str) -> tuple[int, str]:
    """The exit code, and all that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tabur", "health", *options],
        cwd=shop.folder,
        env=os.environ | shop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def seen(shop: Workshop, *options: str) -> Any:
    return json.loads(health(shop, "--json", *options)[1])


def is_well(shop: Workshop, *options: str) -> bool:
    return health(shop, *options)[0] == 0


def test_who_works_is_well_by_number_and_by_moment(shop: Workshop) -> None:
    worker = shop.worker("--processes=2", "--queue=default,high")
    until(lambda: is_well(shop, "--ready"))
    shop.module.quick.dispatch()
    shop.noted("quick")
    until(lambda: len(shop.children()) == 2)
    code, shown = health(shop)
    assert code == 0
    assert f"| {worker.process.pid} " in shown
    assert "supervises [database] default,high" in shown
    for child in shop.children():
        assert f"|   {child.pid} " in shown
    (found,) = seen(shop)["supervisors"]
    assert {each["pid"] for each in found["processes"]} == {each.pid for each in shop.children()}
    assert {each["worker"] for each in found["processes"]} == {each.id for each in shop.children()}
    until(lambda: sum(each["ended"] for each in seen(shop)["supervisors"][0]["processes"]) == 1)
    assert all(0 <= each["polled"] < 30 for each in found["processes"])

    worker.stop()
    worker.ended()
    code, shown = health(shop)
    assert code == 1
    assert f"No worker runs here, by what lies in {shop.folder}/var/run." in shown
    assert "TABUR_RUN" in shown
    assert seen_nothing(shop)


def seen_nothing(shop: Workshop) -> bool:
    return not any((shop.folder / "var/run").glob("*-*/"))


def test_another_folder_is_named(shop: Workshop, tmp_path: Path) -> None:
    shop.worker()
    until(lambda: is_well(shop))
    code, shown = health(shop, f"--run={tmp_path / 'elsewhere'}")
    assert code == 1
    assert "elsewhere" in shown
    assert health(shop, f"--run={shop.folder / 'var' / 'run'}")[0] == 0


def test_a_frozen_process_is_told(shop: Workshop) -> None:
    (file,) = shop.folder.glob("workshop_*.py")
    file.write_text(file.read_text("utf-8") + FREEZES, "utf-8")
    shop.reload()
    worker = shop.worker("--timeout=0", "--processes=2")
    until(lambda: is_well(shop, "--ready"))
    shop.module.freezes.dispatch()
    shop.noted("freezes")
    until(lambda: not is_well(shop, "--within=2"))
    (found,) = seen(shop, "--within=2")["supervisors"]
    wrong = [each["wrong"] for each in found["processes"]]
    assert sum(each is None for each in wrong) == 1
    assert "has not looked after its jobs for " in health(shop, "--within=2")[1]
    assert is_well(shop), "not yet, for who has a minute"
    for process in found["processes"]:
        os.kill(process["pid"], signal.SIGKILL)
    worker.stop()


def test_a_supervisor_that_stands_still_is_told(shop: Workshop) -> None:
    worker = shop.worker()
    until(lambda: is_well(shop, "--ready"))
    worker.process.send_signal(signal.SIGSTOP)
    until(lambda: not is_well(shop, "--within=2"))
    assert "has not looked after its processes for " in health(shop, "--within=2")[1]
    worker.process.send_signal(signal.SIGCONT)
    until(lambda: is_well(shop, "--within=2", "--ready"))


def test_a_killed_supervisor_is_told_until_the_next_one_is_there(shop: Workshop) -> None:
    worker = shop.worker()
    until(lambda: is_well(shop, "--ready"))
    worker.process.kill()
    worker.process.wait()
    code, shown = health(shop)
    assert code == 1
    assert "was killed" in shown
    shop.worker()
    until(lambda: is_well(shop, "--ready"))
    assert len(seen(shop)["supervisors"]) == 1


def test_it_is_alive_and_not_ready_before_its_app_is_loaded(shop: Workshop) -> None:
    (file,) = shop.folder.glob("workshop_*.py")
    waits = """
import __main__
if __main__.__spec__ and __main__.__spec__.name == "tabur.worker.child":
    while not Path("go").exists():
        time.sleep(0.02)
"""
    file.write_text(file.read_text("utf-8") + waits, "utf-8")
    shop.worker()
    until(lambda: is_well(shop))
    code, shown = health(shop, "--ready")
    assert code == 1
    assert "no process has begun to work" in shown
    (shop.folder / "go").touch()
    until(lambda: is_well(shop, "--ready"))


def test_who_stops_is_alive_and_not_ready(shop: Workshop) -> None:
    shop.module.patient.dispatch(seconds=60)
    worker = shop.worker()
    shop.noted("patient")
    worker.stop()
    until(lambda: not is_well(shop, "--ready"))
    code, shown = health(shop)
    assert code == 0
    assert "not ready: it is stopping (SIGTERM)" in shown
    assert "finishes" in shown


# a store that is down


@pytest.fixture
def on_redis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require: Callable[..., None]
) -> Iterator[tuple[Workshop, RedisServer]]:
    from tests.worker.conftest import JOBS

    require("redis-server")
    with RedisServer.start() as server:
        store = {"QUEUE_CONNECTION": "redis", "REDIS_URL": server.url()}
        shop = make_workshop(tmp_path, JOBS, monkeypatch, store)
        keep_run_folder(shop, monkeypatch)
        try:
            shop.load()
            yield shop, server
        finally:
            shop.close()


def test_a_store_that_is_down_makes_nobody_hang(on_redis: tuple[Workshop, RedisServer]) -> None:
    shop, server = on_redis
    shop.worker()
    until(lambda: is_well(shop, "--ready"))
    server.kill()
    until(lambda: not is_well(shop, "--ready", "--within=3"))
    code, shown = health(shop, "--within=3")
    assert code == 0, shown
    assert "yes, but not ready: the store has not answered for " in shown
    server.restart()
    until(lambda: is_well(shop, "--ready", "--within=3"))


# what it costs


def test_it_needs_neither_the_store_nor_the_app(shop: Workshop) -> None:
    shop.worker()
    until(lambda: is_well(shop, "--ready"))
    shop.environment |= {"TABUR_APP": "no_such:app", "DATABASE_URL": "postgresql://nowhere/x"}
    assert is_well(shop, "--ready")
    script = (
        "import sys\n"
        "from tabur.cli.group import tabur\n"
        "try:\n    tabur(['health', '--json'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'sqlalchemy', 'sqlite3', 'psycopg', 'redis', 'psutil', 'asyncio', 'rich'}\n"
        "sys.exit(str(heavy & {*sys.modules}) if heavy & {*sys.modules} else 0)\n"
    )
    # Without the variables by which coverage measures subprocesses: it imports some of them itself.
    quiet = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=shop.folder,
        env=quiet | shop.environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def test_it_costs_little(shop: Workshop) -> None:
    """150 ms of CPU on a machine of its own; four times that here."""
    shop.worker()
    until(lambda: is_well(shop, "--ready"))
    spans = []
    for _ in range(3):
        before = os.times()
        assert is_well(shop)
        after = os.times()
        spans.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(spans) < 0.6
