"""What goes wrong with Redis: crashes, lost connections, full memory, settings that lose jobs."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from random import uniform

import pytest

from servers.redis import RedisServer
from tabur.drivers.contract import Exchange, Filter, ProgressWrite
from tabur.errors import StoreUnavailable, StoreUnreachable
from tabur.model.ids import new_token
from tabur.model.outcome import Settled
from tabur.model.records import ClaimedJob, Progress, WorkerRecord
from tabur.model.states import State
from tabur.testing.conformance import move
from tests.drivers.redis_servers import SLOTS, Connect, Start, claim, new_job

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


# full memory


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
    assert driver.control.advance() == driver.control.signals().moment
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
