"""What goes wrong with Redis: crashes, lost connections, full memory, settings that lose jobs."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import uniform
from uuid import uuid4

import pytest

from servers.redis import RedisServer
from tabur.drivers.contract import Exchange, Filter, ProgressWrite
from tabur.drivers.redis.address import Server
from tabur.drivers.redis.driver import RedisDriver
from tabur.drivers.redis.durability import make_durability
from tabur.errors import ConfigError, StoreUnavailable, StoreUnreachable
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.records import ClaimedJob, NewJob, Progress, WorkerRecord
from tabur.model.states import Isolation, State
from tabur.testing.conformance import move

SLOTS = {Isolation.THREAD: 10}


def new_job(*, payload: bytes = b"{}") -> NewJob:
    return NewJob(
        id=new_id(),
        name="job",
        queue="default",
        isolation=Isolation.THREAD,
        payload=payload,
        created_at=time.time_ns() // 1000,
    )


def claim(driver: RedisDriver, slots: int = 10) -> list[ClaimedJob]:
    turn = Exchange(
        worker="w1", token=new_token(), queues=("default",), slots={Isolation.THREAD: slots}
    )
    return list(driver.claiming.exchange(turn).claimed)


@pytest.fixture
def start(require: Callable[..., None]) -> Iterator[Callable[..., RedisServer]]:
    """Starts servers of the test's own, with options."""
    require("redis-server")
    started: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        started.append(RedisServer.start(*options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., RedisDriver]]:
    """Drivers that are closed at the end of the test."""
    made: list[RedisDriver] = []

    def connect(url: str, **given: object) -> RedisDriver:
        made.append(RedisDriver(url, prefix=uuid4().hex, **given))  # type: ignore[arg-type]
        return made[-1]

    yield connect
    for driver in made:
        driver.close()


Start = Callable[..., RedisServer]
Connect = Callable[..., RedisDriver]


# crashes and lost connections


def test_nothing_dispatched_is_lost_in_a_crash_with_appendfsync_always(
    start: Start, connect: Connect
) -> None:
    server = start("--appendonly", "yes", "--appendfsync", "always")
    driver = connect(server.url())
    kept: list[bytes] = []

    def dispatch() -> None:
        with suppress(StoreUnavailable):
            while True:
                jobs = [new_job() for _ in range(3)]
                driver.dispatching.dispatch(jobs)
                kept.extend(job.id for job in jobs)

    dispatcher = threading.Thread(target=dispatch)
    dispatcher.start()
    while len(kept) < 200:
        time.sleep(0.01)
    server.kill()
    dispatcher.join()
    server.restart()

    assert {each.id for each in claim(driver, 100_000)} >= set(kept)


def test_each_job_is_settled_once_while_connections_are_killed(
    start: Start, connect: Connect
) -> None:
    server = start()
    driver = connect(server.url())
    jobs = [new_job() for _ in range(2_000)]
    done: Counter[bytes] = Counter()
    unanswered = 0

    def dispatch() -> None:
        for job in jobs:
            while True:
                with suppress(StoreUnavailable):
                    driver.dispatching.dispatch([job])
                    break

    def kill() -> None:
        while not over.is_set():
            server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            over.wait(uniform(0.002, 0.05))  # a busy machine must get through now and then

    over = threading.Event()
    threads = [threading.Thread(target=each) for each in (dispatch, kill)]
    for thread in threads:
        thread.start()
    ended: list[ClaimedJob] = []
    lost: bytes | None = None
    while len(done) < len(jobs):
        turn = Exchange(
            worker="w1",
            token=new_token(),
            queues=("default",),
            slots=SLOTS,
            settle=[move(each, State.COMPLETED) for each in ended],
        )
        try:
            if lost is not None:
                driver.claiming.release_token(lost)
                lost = None
            answer = driver.claiming.exchange(turn)
        except StoreUnavailable:
            unanswered += 1
            lost = turn.token
            continue
        assert set(answer.settled) <= {Settled.DONE}
        done.update(each.id for each in ended)
        ended = list(answer.claimed)
    over.set()
    for thread in threads:
        thread.join()

    assert unanswered > 0
    assert done == Counter(job.id for job in jobs)
    assert driver.inspection.count(Filter(states=(State.COMPLETED,)), at_most=9_999) == len(jobs)
    assert list(driver.claiming.held("w1")) == []


def test_a_connection_that_ended_while_idle_is_not_noticed(
    redis_server: RedisServer, connect: Connect
) -> None:
    driver = connect(redis_server.url())
    driver.check()
    redis_server.ask("CLIENT", "KILL", "TYPE", "normal")
    driver.dispatching.dispatch([new_job()])
    assert len(claim(driver)) == 1


def test_a_server_that_hangs_is_unavailable_and_what_it_did_is_done_once(
    start: Start, connect: Connect
) -> None:
    server = start("--enable-debug-command", "yes")
    driver = connect(server.url(), timeout=0.2)
    job = new_job()
    driver.check()
    hanging = threading.Thread(target=lambda: server.ask("DEBUG", "SLEEP", "1"))
    hanging.start()
    time.sleep(0.1)
    with pytest.raises(StoreUnavailable, match="repeating it is safe") as raised:
        driver.dispatching.dispatch([job])
    assert not isinstance(raised.value, StoreUnreachable)
    hanging.join()
    driver.dispatching.dispatch([job])
    assert [each.id for each in claim(driver)] == [job.id]


def test_a_server_that_is_not_there_is_unreachable(start: Start, connect: Connect) -> None:
    server = start()
    driver = connect(server.url())
    driver.check()
    server.kill()
    with pytest.raises(StoreUnavailable):
        driver.check()
    with pytest.raises(StoreUnreachable, match="cannot be reached"):
        driver.dispatching.dispatch([new_job()])


def test_what_was_sent_before_the_server_died_is_not_called_unreachable(connect: Connect) -> None:
    """A failover connection would send it to the next store, and it may be in this one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        driver = connect(f"redis://127.0.0.1:{port}/0")
        thread = threading.Thread(target=_answer_then_die, args=(listening,))
        thread.start()
        driver.check()
        with pytest.raises(StoreUnavailable) as raised:
            driver.dispatching.dispatch([new_job()])
        thread.join()
    assert not isinstance(raised.value, StoreUnreachable)


def _answer_then_die(listening: socket.socket) -> None:
    """A server that is gone for good once it has received a script."""
    client, _ = listening.accept()
    info = b"redis_version:7.0.15\r\n"
    with client:
        while received := client.recv(65536):
            if b"EVALSHA" in received:
                listening.close()
                return
            for command in received.split(b"*")[1:]:
                plain = b"$%d\r\n%b\r\n" % (len(info), info)
                client.sendall(plain if b"INFO\r\n" in command[:20] else b"+OK\r\n")


def test_scripts_that_the_server_has_forgotten_are_brought_again(
    redis_server: RedisServer, connect: Connect
) -> None:
    driver = connect(redis_server.url())
    driver.dispatching.dispatch([new_job()])
    redis_server.ask("SCRIPT", "FLUSH")
    driver.dispatching.dispatch([new_job()])
    redis_server.ask("SCRIPT", "FLUSH")
    assert len(claim(driver)) == 2


# the listener


def test_a_listener_whose_connection_was_killed_hears_again(start: Start, connect: Connect) -> None:
    server = start()
    driver = connect(server.url())
    listener = driver.listen()
    listener.wait(0)
    server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    assert listener.wait(5)
    while listener.wait(0.2):  # it was cut off, it is back
        pass
    driver.dispatching.dispatch([new_job()])
    assert listener.wait(5)
    listener.close()


def test_a_listener_without_a_server_waits_no_longer_than_asked(
    start: Start, connect: Connect
) -> None:
    server = start()
    listener = connect(server.url()).listen()
    server.kill()
    listener.wait(1)
    began = time.monotonic()
    for _ in range(5):
        listener.wait(0.1)
    assert time.monotonic() - began < 2
    threading.Timer(0.05, listener.interrupt).start()
    began = time.monotonic()
    while not listener.wait(10):
        pass
    assert time.monotonic() - began < 5
    server.restart()
    heard = False
    for _ in range(100):
        heard = heard or listener.wait(0.1)
    assert heard
    listener.close()


# settings that lose jobs, and full memory


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru"])
def test_a_policy_that_throws_jobs_away_is_refused(
    policy: str, start: Start, connect: Connect
) -> None:
    server = start("--maxmemory-policy", policy)
    with pytest.raises(ConfigError, match="CONFIG SET maxmemory-policy noeviction"):
        connect(server.url()).check()


def test_a_full_memory_refuses_new_jobs_and_lets_workers_drain(
    start: Start, connect: Connect
) -> None:
    server = start("--maxmemory", "8mb")
    driver = connect(server.url())
    brought = 0
    with pytest.raises(StoreUnavailable, match="memory is full"):
        while True:
            driver.dispatching.dispatch([new_job(payload=b"x" * 10_000)])
            brought += 1
    assert driver.inspection.count(Filter(), at_most=9_999) == brought

    driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    driver.workers.beat(["w1"])
    assert [each.beats for each in driver.workers.list()] == [1]
    (running,) = claim(driver, 1)
    report = ProgressWrite(running.id, running.token, Progress(done=1))
    driver.claiming.exchange(Exchange("w1", progress=[report]))
    found = driver.inspection.find(running.id)
    assert found is not None
    assert found.progress == report.progress
    ended = [running]
    for _ in range(brought // 10 + 2):
        turn = Exchange(
            worker="w1",
            token=new_token(),
            queues=("default",),
            slots=SLOTS,
            settle=[move(each, State.COMPLETED) for each in ended],
        )
        ended = list(driver.claiming.exchange(turn).claimed)
    assert driver.dispatching.forget(Filter()) == brought
    driver.dispatching.dispatch([new_job()])


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


# what is bounded


def test_entries_of_cancelled_jobs_are_passed_over_in_short_scripts(
    redis_server: RedisServer, connect: Connect
) -> None:
    driver = connect(redis_server.url())
    jobs = [new_job() for _ in range(11_000)]
    driver.dispatching.dispatch(jobs)
    for job in jobs:
        driver.dispatching.cancel(job.id)
    last = new_job()
    driver.dispatching.dispatch([last])
    assert [each.id for each in claim(driver)] == [last.id]


def test_history_keeps_the_last_attempts(redis_server: RedisServer, connect: Connect) -> None:
    driver = connect(redis_server.url())
    driver.dispatching.dispatch([new_job()])
    (claimed,) = first = claim(driver)
    moves = []
    for _ in range(230):
        moves.append(move(claimed, State.PENDING))
        driver.claiming.exchange(Exchange("w1", settle=[moves[-1]]))
        (claimed,) = claim(driver)
    attempts = driver.inspection.attempts(claimed.id)
    assert [each.attempt for each in attempts] == list(range(31, 231))
    settled = driver.claiming.exchange(Exchange("w1", settle=[moves[-1]])).settled
    assert list(settled) == [Settled.DONE]
    driver.claiming.exchange(Exchange("w1", settle=[move(claimed, State.COMPLETED)]))
    assert driver.dispatching.forget_one(first[0].id)
    left = redis_server.ask("HLEN", f"{{{driver.check()['prefix']}}}:outcomes")
    assert left == ":0"


def test_nothing_is_left_of_jobs_that_are_gone(redis_server: RedisServer, connect: Connect) -> None:
    """Cancelled, retried, moved out and forgotten: no index keeps a trace of any."""
    driver = connect(redis_server.url())
    jobs = [new_job() for _ in range(8)]
    driver.dispatching.dispatch(jobs)
    for job in jobs[:2]:
        driver.dispatching.cancel(job.id)
    driver.dispatching.retry([jobs[0].id])
    taken = driver.transfer.take_out(None, limit=3)
    driver.transfer.gone([taken[0].id])
    driver.transfer.put_back([taken[1].id])
    for claimed in claim(driver):
        driver.claiming.exchange(Exchange("w1", settle=[move(claimed, State.COMPLETED)]))
    assert driver.dispatching.clear("default") == 1
    assert claim(driver) == []
    assert driver.dispatching.forget(Filter()) == 7
    prefix = driver.check()["prefix"]
    names = driver._link.ask("KEYS", f"{{{prefix}}}*")
    assert names == [f"{{{prefix}}}:places".encode()]
