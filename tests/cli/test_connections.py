"""Commands in an app with several connections: queue:work, queue:move, migrate, about …"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.redis import RedisServer
from tabur import State
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.states import Isolation
from tabur.worker.inline import drain
from tests.cli.project import Project, make_project


@pytest.fixture
def both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> Iterator[Project]:
    """A project on a SQLite file, with Redis beside it and its outbox in the file."""
    project = make_project(tmp_path, monkeypatch)
    monkeypatch.setenv("QUEUE_CONNECTIONS", "redis")
    monkeypatch.setenv("REDIS_URL", redis_server.url())
    monkeypatch.setenv("REDIS_PREFIX", tmp_path.name)
    monkeypatch.setenv("TABUR_OUTBOX_URL", f"sqlite:///{tmp_path}/jobs.sqlite3")
    project.jobs.migrate()
    yield project
    project.close()


def dispatch_on(project: Project, connection: str, count: int = 1) -> list[str]:
    greet = __import__(project.module).greet.options(connection=connection)
    return [greet.dispatch().id for _ in range(count)]


def test_queues_of_either_connection(both: Project) -> None:
    dispatch_on(both, "redis", 3)
    dispatch_on(both, "database", 2)
    levels = both.json("queue:monitor", "default,redis:default")
    assert [(each["connection"], each["pending"]) for each in levels] == [
        ("database", 2),
        ("redis", 3),
    ]
    assert "[redis] default" in both.run("queue:monitor", "redis:default").stdout
    assert "Cleared 3 jobs" in both.run("queue:clear", "redis").stdout
    assert "Cleared 2 jobs" in both.run("queue:clear").stdout


def test_failed_jobs_of_all_connections(both: Project) -> None:
    send = __import__(both.module).send
    ids = [
        send.options(connection=connection).dispatch(to="x").id
        for connection in ("redis", "database")
    ]
    for connection in both.jobs.connections:
        drain(both.jobs.runtime_of(connection))
    listed = both.json("queue:failed")
    assert [(each["id"], each["connection"]) for each in listed] == [
        (ids[1], "database"),
        (ids[0], "redis"),
    ]
    assert "Connection   redis" in both.run("queue:failed:show", ids[0]).stdout
    both.run("queue:retry", ids[0])
    assert both.jobs.handle(ids[0]).status().state is State.PENDING
    both.run("queue:retry", "all")
    assert both.jobs.handle(ids[1]).status().state is State.PENDING
    for connection in both.jobs.connections:
        drain(both.jobs.runtime_of(connection))
    both.run("queue:forget", ids[0])
    assert "1 failed job deleted" in both.run("queue:flush").stdout


def test_pauses_and_holds_are_of_one_connection_or_of_all(both: Project) -> None:
    def resting() -> dict[str, list[tuple[str, str | None]]]:
        about = both.json("about")
        seen = {about["connection"]: about["health"], **about["others"]}
        return {
            name: [(each["kind"], each["queue"]) for each in health["resting"]]
            for name, health in seen.items()
        }

    both.run("queue:pause", "redis:default")
    both.run("queue:hold", "redis")
    assert resting() == {"database": [], "redis": [("hold", None), ("pause", "default")]}
    assert "[redis] default is held" in both.run("queue:monitor", "redis:default").stdout
    both.run("queue:resume", "--all")
    both.run("queue:pause", "--all")
    both.run("queue:release-hold")
    assert resting() == {"database": [("pause", None)], "redis": [("pause", None)]}
    both.run("queue:continue", "--all")
    assert resting() == {"database": [], "redis": []}


def test_a_worker_works_for_one_connection(both: Project) -> None:
    (there,) = dispatch_on(both, "redis")
    (here,) = dispatch_on(both, "database")
    both.run("queue:restart")
    shown = _work(both, "redis")
    assert "DONE" in shown
    assert both.jobs.handle(there).result() == "hello you"
    assert both.jobs.handle(here).status().state is State.PENDING
    _work(both)
    assert both.jobs.handle(here).result() == "hello you"


def test_moving_there_and_back(both: Project) -> None:
    ids = dispatch_on(both, "database", 7)
    assert "Moved 7 jobs from [database] to [redis]." in _move(both, "database", "redis")
    assert {both.jobs.handle(each).status().connection for each in ids} == {"redis"}
    assert "Moved 2 jobs" in _move(both, "redis", "database", "--limit=2", "--queue=default")
    assert "Moved 5 jobs" in _move(both, "redis", "database")
    assert "Moved 0 jobs" in _move(both, "redis", "database")
    _work(both)
    assert {both.jobs.handle(each).result() for each in ids} == {"hello you"}


def test_moving_says_what_stays(both: Project) -> None:
    dispatch_on(both, "database", 3)
    both.jobs.driver.claiming.exchange(
        Exchange(worker="w", token=new_token(), queues=["default"], slots={Isolation.THREAD: 1})
    )
    both.jobs.driver.transfer.take_out(None, limit=1)  # of a move that died
    shown = _move(both, "database", "redis")
    assert "Moved 2 jobs" in shown
    assert "1 of them, an earlier move had left on the way." in shown
    assert "1 running, stay on database and end there." in shown


def test_moves_that_make_no_sense(both: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "are on redis already" in both.error("queue:move", "--from=redis", "--to=redis")
    assert "'rabbit'" in both.error("queue:move", "--from=redis", "--to=rabbit")
    assert "--to" in both.error("queue:move", "--from=redis", code=2)
    monkeypatch.setenv("QUEUE_CONNECTION", "memory")
    both.close()
    assert "nothing that could be moved" in both.error("queue:move", "--from=memory", "--to=redis")


def test_moving_to_a_store_that_is_away_leaves_all_where_it_is(
    both: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job_id,) = dispatch_on(both, "database")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    both.close()
    said = both.error("queue:move", "--from=database", "--to=redis")
    assert "Nothing is lost" in said
    monkeypatch.setenv("QUEUE_CONNECTIONS", "")
    both.close()
    assert both.jobs.handle(job_id).status().state is State.PENDING


def test_migrate_makes_all_tables_or_prints_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = make_project(tmp_path, monkeypatch)
    monkeypatch.setenv("TABUR_OUTBOX_URL", f"sqlite:///{tmp_path}/shop.sqlite3")
    monkeypatch.setenv("QUEUE_CONNECTIONS", "memory")
    script = bare.run("migrate", "--sql").stdout
    assert "CREATE TABLE" in script
    assert "job_records" in script
    assert "job_outbox" in script
    assert not (tmp_path / "shop.sqlite3").exists()
    assert "job_outbox" in bare.run("migrate").stdout
    assert "Nothing to migrate." in bare.run("migrate").stdout
    with sqlite3.connect(tmp_path / "by-hand.sqlite3") as file:
        file.executescript(script)
    file.close()
    bare.close()


def test_about_shows_each_connection(both: Project) -> None:
    dispatch_on(both, "redis")
    shown = both.run("about", code=1).stdout
    for line in ("Other connections", "Store of redis", "Queues of redis", "Durability", "Outbox"):
        assert line in shown
    assert "tabur queue:work redis --queue=default" in shown
    seen = both.json("about", code=1)
    assert seen["connection"] == "database"
    assert seen["others"]["redis"]["store"]["durability"] == "fast"
    assert seen["health"]["problems"][0]["todo"] == "Start one: tabur queue:work"


def test_about_tells_no_password_and_what_is_away(
    both: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:geheim@127.0.0.1:1/0")
    both.close()
    shown = both.run("about", code=1).stdout
    assert "Check REDIS_URL" in shown
    assert "geheim" not in shown
    assert "SQLite" in shown


def test_what_laravel_sets_and_nobody_needs(both: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_QUEUE_BLOCK_FOR", "5")
    assert "REDIS_QUEUE_BLOCK_FOR=5 is ignored" in both.run("about").stdout
    (both.folder / "laravels.py").write_text(
        "from tabur import Tabur\njobs = Tabur.from_env(retry_after=90)\n", "utf-8"
    )
    assert "retry_after=90 is ignored" in both.run("--app=laravels:jobs", "about").stdout


def test_nobody_works_for_failover(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", "failover")
    monkeypatch.setenv("QUEUE_FAILOVER", "redis,database")
    project.close()
    for arguments in ((), ("failover",)):
        said = project.error("queue:work", *arguments)
        assert "tabur queue:work redis and tabur queue:work database" in said


def test_a_connection_that_is_not_there(project: Project) -> None:
    for arguments in (("queue:work", "redis"), ("queue:clear", "redis")):
        said = project.error(*arguments)
        assert "no connection 'redis'; there are: database. Set REDIS_URL." in said


def _move(project: Project, source: str, target: str, *options: str) -> str:
    return project.run("queue:move", f"--from={source}", f"--to={target}", *options).stdout


def _work(project: Project, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tabur", "queue:work", *arguments, "--stop-when-empty"],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
