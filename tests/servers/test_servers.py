"""Each server starts, answers, comes back with its data, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, NullPool, create_engine, exc, text

from servers import find
from servers.find import PROGRAMS, Missing, binary
from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.process import StartFailed
from servers.redis import RedisCluster, RedisServer
from servers.watcher import processes_in

ROOT = Path(__file__).parents[2]
SQL = pytest.mark.parametrize("kind", [PostgresServer, MariaDBServer])
Database = type[PostgresServer | MariaDBServer]


@pytest.fixture
def place(require: Callable[..., None]) -> Iterator[Path]:
    """Where the servers of one test live; it must be empty again when the test ends."""
    require("postgres", "mariadbd", "mariadb-install-db", "redis-server")
    # tmp_path is closed to the accounts that servers run as when the tests run as root.
    with tempfile.TemporaryDirectory(prefix="place-") as name:
        place = Path(name)
        place.chmod(0o755)
        yield place
        assert not processes_in(place)
        assert not list(place.iterdir())


@pytest.mark.parametrize("kind", [PostgresServer, MariaDBServer, RedisServer])
def test_a_stopped_server_leaves_nothing(
    kind: type[PostgresServer | MariaDBServer | RedisServer], place: Path
) -> None:
    with kind.start(folder=place) as server:
        assert server.pid in processes_in(place)
    server.stop()  # a second time is fine


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "redis", "cluster"])
def test_nothing_is_left_when_the_process_that_started_it_is_killed(kind: str, place: Path) -> None:
    with by_hand(kind, place) as starter:
        starter.kill()
    wait_until(lambda: not list(place.iterdir()))


def test_ctrl_c_ends_a_server_started_by_hand(place: Path) -> None:
    with by_hand("redis", place) as starter:
        starter.send_signal(signal.SIGINT)
        assert starter.wait() == 0
    assert not list(place.iterdir())


@SQL
def test_a_database_comes_back_with_what_was_committed(kind: Database, place: Path) -> None:
    with kind.start(folder=place) as server:
        port, engine = server.port, create_engine(server.url(), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (id integer)"))
            connection.execute(text("INSERT INTO orders VALUES (7)"))

        server.restart()
        assert rows(engine) == [7]
        server.restart("fast")
        assert rows(engine) == [7]
        server.kill()
        assert not processes_in(place)
        server.restart()
        assert rows(engine) == [7]
        assert server.port == port


@SQL
def test_an_administrator_cuts_connections(kind: Database, place: Path) -> None:
    with kind.start(folder=place) as server:
        engine = create_engine(server.create_database("other"))
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            assert server.terminate_backends() == 1
            with pytest.raises(exc.OperationalError):
                connection.execute(text("SELECT 1"))
        engine.dispose()


def test_a_paused_server_answers_nobody_and_goes_on(place: Path) -> None:
    with RedisServer.start(folder=place) as server:
        client = redis.Redis.from_url(server.url(), socket_timeout=0.2)
        client.set("kept", "yes")

        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.get("kept")
        server.go_on()

        wait_until(lambda: server.ask("GET", "kept") == "yes")
        client.close()


def test_redis_keeps_what_its_options_say(place: Path) -> None:
    with RedisServer.start("--appendonly", "yes", folder=place) as server:
        with redis.Redis.from_url(server.url()) as client:
            client.set("order", "7")
        server.kill()
        server.restart()
        assert server.ask("GET", "order") == "7"


def test_redis_keeps_nothing_of_its_own_accord(place: Path) -> None:
    with RedisServer.start(folder=place) as server:
        server.ask("SET", "order", 7)
        server.restart("fast")
        assert server.ask("GET", "order") == ""


def _keys(cluster: RedisCluster) -> list[int]:
    return [int(node.ask("DBSIZE").lstrip(":")) for node in cluster.nodes]


def test_a_cluster_serves_every_slot_and_heals(redis_cluster: RedisCluster) -> None:
    before = _keys(redis_cluster)  # others use it too
    with redis.RedisCluster.from_url(redis_cluster.url()) as client:
        for order in range(50):
            client.set(f"order:{order}", order)
        client.disconnect_connection_pools()  # redis-py leaves them to the garbage collector
    added = [now - then for now, then in zip(_keys(redis_cluster), before, strict=True)]
    assert sum(added) == 50
    assert all(added)
    redis_cluster.nodes[1].kill()
    redis_cluster.nodes[1].restart()
    redis_cluster.wait()


def test_a_setting_that_is_refused_is_shown(place: Path) -> None:
    with pytest.raises(StartFailed, match="no_such_setting"):
        PostgresServer.start(folder=place, settings={"no_such_setting": "1"})


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = find.Program(("no-such-server",), "/usr/lib/no-such/*/bin", "no-such-package")
    monkeypatch.setitem(PROGRAMS, "postgres", wanted)
    with pytest.raises(Missing, match=r"apt-get install .* no-such-package"):
        binary("postgres")


def test_the_newest_version_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9", "17", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "no-such-server").touch()
    wanted = find.Program(("no-such-server",), f"{tmp_path}/*/bin", "no-such-package")
    monkeypatch.setitem(PROGRAMS, "postgres", wanted)
    assert binary("postgres").parent.parent.name == "17"


def rows(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT id FROM orders")).scalars())


def by_hand(kind: str, place: Path) -> subprocess.Popen[str]:
    """`python -m servers KIND`, once it has printed its URL."""
    starter = subprocess.Popen(
        [sys.executable, "-m", "servers", kind],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    assert "://" in starter.stdout.readline()
    return starter


def wait_until(true: Callable[[], bool], patience: float = 20) -> None:
    until = time.monotonic() + patience
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)
