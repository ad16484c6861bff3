"""What Redis is told to be: what would lose jobs is refused; who may come in; odd addresses."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from servers.redis import RedisServer
from tabur.drivers.contract import Exchange, Filter
from tabur.drivers.redis.address import Server
from tabur.drivers.redis.driver import RedisDriver
from tabur.drivers.redis.durability import make_durability
from tabur.errors import ConfigError, StoreUnavailable, StoreUnreachable
from tabur.model.states import State
from tabur.testing.conformance import move
from tests.drivers.redis_servers import Connect, Start, claim, new_job

# what would lose jobs


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_a_policy_that_throws_jobs_away_is_refused(
    policy: str, start: Start, connect: Connect
) -> None:
    server = start("--maxmemory-policy", policy)
    with pytest.raises(ConfigError, match="CONFIG SET maxmemory-policy noeviction"):
        connect(server.url()).check()


def test_strict_is_refused_where_the_server_cannot_give_it(
    redis_server: RedisServer, connect: Connect
) -> None:
    driver = connect(redis_server.url(), durability="strict")
    with pytest.raises(ConfigError, match=r"7\.2|append-only"):
        driver.dispatching.dispatch([new_job()])


def test_strict_needs_a_server_that_confirms_and_a_file_to_confirm() -> None:
    """On a server that has WAITAOF, whichever the tests find."""
    strict = make_durability("strict", 1)
    told = b"redis_version:7.2.4\r\naof_enabled:%d\r\n"
    with pytest.raises(ConfigError, match="append-only file"):
        strict.check("redis://shop", Server(told % 0))
    strict.check("redis://shop", Server(told % 1))
    assert strict.command == ("WAITAOF", 1, 1, 2000)
    strict.confirm("redis://shop", [1, 1])
    for answer in ([0, 1], [1, 0]):
        with pytest.raises(StoreUnavailable, match="Repeating is safe"):
            strict.confirm("redis://shop", answer)


def test_safe_waits_for_a_replica(start: Start, connect: Connect) -> None:
    primary = start("--repl-diskless-sync-delay", "0")
    driver = connect(primary.url(), durability="safe")
    replica = start("--replicaof", "127.0.0.1", str(primary.port))
    while "master_link_status:up" not in replica.ask("INFO", "replication"):
        time.sleep(0.02)
    driver.dispatching.dispatch([new_job()])
    assert driver.check()["replicas"] == "1"
    replica.stop()
    with pytest.raises(StoreUnavailable, match="0 of 1 replicas") as raised:
        driver.dispatching.dispatch([new_job()])
    assert not isinstance(raised.value, StoreUnreachable)


def test_a_replica_is_refused(start: Start, connect: Connect) -> None:
    primary = start()
    replica = start("--replicaof", "127.0.0.1", str(primary.port))
    with pytest.raises(StoreUnreachable, match="name its primary"):
        connect(replica.url()).check()


@pytest.mark.parametrize("level", ["", "SAFE", "durable"])
def test_an_unknown_level_is_refused(level: str) -> None:
    with pytest.raises(ConfigError, match="fast, safe or strict"):
        RedisDriver("redis://localhost", durability=level)


# who may come in


def test_a_wrong_password_is_told(start: Start, connect: Connect) -> None:
    server = start()
    server.ask("CONFIG", "SET", "requirepass", "secret")
    host = f"127.0.0.1:{server.port}/0"
    for url in (f"redis://{host}", f"redis://:wrong@{host}", f"redis://nobody:x@{host}"):
        with pytest.raises(ConfigError, match="REDIS_URL") as raised:
            connect(url).check()
        assert "wrong" not in str(raised.value)
    connect(f"redis://:secret@{host}").check()


def test_a_user_of_the_access_list_needs_no_more_than_the_docs_say(
    start: Start, connect: Connect
) -> None:
    server = start()
    rights = ("+@all", "-@dangerous", "+info", "~{*", "&{*")
    server.ask("ACL", "SETUSER", "tabur", "on", ">pw", "resetkeys", *rights)
    server.ask("ACL", "SETUSER", "poor", "on", ">pw", "resetkeys", "+info", "~{*", "&{*")
    driver = connect(f"redis://tabur:pw@127.0.0.1:{server.port}/0")
    driver.dispatching.dispatch([new_job(), new_job()])
    (first, second) = claim(driver)
    driver.claiming.exchange(Exchange("w1", settle=[move(first, State.COMPLETED)]))
    driver.dispatching.cancel(second.id)
    assert len(driver.inspection.list(Filter(), limit=5)) == 2
    driver.listen().close()
    with pytest.raises(ConfigError, match="lacks a permission"):
        connect(f"redis://poor:pw@127.0.0.1:{server.port}/0").dispatching.dispatch([new_job()])


def test_tls(start: Start, connect: Connect, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    subject = "-addext subjectAltName=IP:127.0.0.1"
    files = f"-keyout {key} -out {certificate}"
    subprocess.run(f"{command} {subject} {files}".split(), check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tls = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", certificate)
    start(*map(str, tls), "--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    driver = connect(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
    listener = driver.listen()
    driver.dispatching.dispatch([new_job()])
    assert listener.wait(5)
    assert len(claim(driver)) == 1
    listener.close()
    with pytest.raises(StoreUnreachable, match="certificate"):
        connect(f"rediss://127.0.0.1:{port}/0").check()


def test_sentinels_name_the_primary(start: Start, connect: Connect, tmp_path: Path) -> None:
    primary = start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = tmp_path / "sentinel.conf"
    settings.write_text(f"port {port}\nsentinel monitor shop 127.0.0.1 {primary.port} 1\n")
    sentinel = subprocess.Popen(
        ["redis-server", str(settings), "--sentinel"], stdout=subprocess.DEVNULL
    )
    try:
        driver = connect(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/shop/0")
        while True:
            with suppress(StoreUnreachable):
                driver.dispatching.dispatch([new_job()])
                break
            time.sleep(0.05)
        assert len(claim(driver)) == 1
        with pytest.raises(ConfigError, match="no service 'bakery'"):
            connect(f"redis+sentinel://127.0.0.1:{port}/bakery").check()
    finally:
        sentinel.kill()
        sentinel.wait()


@pytest.mark.parametrize(
    "url", ["", "localhost", "http://x", "redis+sentinel://x:1", "redis://x:port/0"]
)
def test_an_odd_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match=r"REDIS_URL|service"):
        RedisDriver(url)


def test_an_odd_prefix_is_refused() -> None:
    with pytest.raises(ConfigError, match="prefix"):
        RedisDriver("redis://localhost", prefix="a{b}")
