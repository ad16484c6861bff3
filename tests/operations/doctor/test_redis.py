"""How a Redis server is set: what it throws away, keeps, and confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from servers.redis import RedisServer
from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting

Start = Callable[..., RedisServer]


@pytest.fixture
def start(bare: Project, setting: Setting, require: Callable[..., None]) -> Iterator[Start]:
    """A server of a test's own, which is the project's store."""
    require("redis-server")
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        server = RedisServer.start(*options)
        started.append(server)
        if len(started) == 1:
            setting("QUEUE_CONNECTION", "redis")
            setting("REDIS_URL", server.url())
        return server

    yield start
    for server in started:
        server.stop()


def test_a_server_that_keeps_what_it_is_told(start: Start, doctor: Ask) -> None:
    start("--appendonly", "yes")
    assert not [name for name in doctor() if name.startswith(("redis", "store", "clock"))]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_one_that_throws_jobs_away(policy: str, start: Start, doctor: Ask) -> None:
    start("--maxmemory-policy", policy, "--appendonly", "yes")
    found = doctor()
    assert found["redis-eviction"]["level"] == "error"
    assert f"maxmemory-policy {policy}" in found["redis-eviction"]["what"]
    assert "CONFIG SET maxmemory-policy noeviction" in found["redis-eviction"]["todo"]
    assert "store-refused" not in found  # the same would be said once more


def test_one_that_keeps_nothing(start: Start, doctor: Ask) -> None:
    server = start()
    found = doctor()["redis-persistence"]
    assert found["level"] == "warning"
    assert "keeps nothing on its disk" in found["what"]
    server.ask("CONFIG", "SET", "save", "3600")  # one word: no seconds without changes
    server.ask("CONFIG", "SET", "save", '"3600 1"')
    assert "snapshots alone (save 3600 1)" in doctor()["redis-persistence"]["what"]
    server.ask("CONFIG", "SET", "appendonly", "yes")
    assert "redis-persistence" not in doctor()
    server.ask("CONFIG", "SET", "appendfsync", "no")
    assert "appendfsync no" in doctor()["redis-persistence"]["what"]


def test_where_nobody_may_look_at_its_settings(start: Start, doctor: Ask, setting: Setting) -> None:
    """As with most providers, and with the rights that the docs say."""
    server = start()
    rights = ("+@all", "-@dangerous", "+info", "resetkeys", "~{*", "&{*")
    server.ask("ACL", "SETUSER", "shop", "on", ">hush-hush", *rights)
    setting("REDIS_URL", f"redis://shop:hush-hush@127.0.0.1:{server.port}/0")
    assert "does not write the append-only file" in doctor()["redis-persistence"]["what"]


def test_durability_that_the_server_cannot_give(
    start: Start, doctor: Ask, setting: Setting
) -> None:
    server = start()
    setting("REDIS_DURABILITY", "strict")
    found = doctor()["redis-durability"]
    assert found["level"] == "error"
    assert "Nothing can be dispatched" in found["what"]
    server.ask("CONFIG", "SET", "appendonly", "yes")
    told = doctor()  # where WAITAOF is known, it now waits for the disk once a second
    assert "redis-durability" in told
    setting("REDIS_DURABILITY", "safe")
    assert "waits for 1 replicas" in doctor()["redis-replicas"]["what"]


def test_a_disk_that_takes_nothing(start: Start, doctor: Ask) -> None:
    server = start("--dbfilename", "no.rdb")
    server.ask("SET", "some", "thing")
    (server.folder / "no.rdb").mkdir()  # what is to be put in its place cannot be
    (server.folder / "no.rdb" / "full").touch()
    server.ask("BGSAVE")
    while "rdb_bgsave_in_progress:1" in server.ask("INFO", "persistence"):
        pass
    found = doctor()["redis-disk"]
    assert found["level"] == "error"
    assert "a snapshot" in found["what"]


def test_memory_that_is_nearly_full(start: Start, doctor: Ask) -> None:
    server = start("--appendonly", "yes")
    used = int(server.ask("INFO", "memory").split("used_memory:")[1].split("\r")[0])
    server.ask("CONFIG", "SET", "maxmemory", used + 30_000)
    assert "of its maxmemory" in doctor()["redis-memory"]["what"]


def test_an_old_server_is_named() -> None:
    """None so old can be installed beside the others."""
    from tabur.drivers.redis.address import Server
    from tabur.drivers.redis.examining import about_version

    (found,) = about_version("redis://shop", Server(b"redis_version:5.0.14\r\n"))
    assert found.name == "redis-old"
    assert "Redis 5.0.14" in found.what
