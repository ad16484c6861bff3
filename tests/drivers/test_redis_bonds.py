"""Bonds in Redis: what they cost, what is bounded, what is left, and a full memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from servers.redis import RedisServer
from tabur.drivers.contract import Filter
from tabur.drivers.redis import dispatching, transfer
from tabur.drivers.redis.driver import RedisDriver
from tabur.errors import ConfigError, StoreUnavailable
from tabur.model.bonds import Unique
from tabur.model.ids import new_id
from tabur.model.outcome import Dispatch, Settled
from tabur.model.records import NewJob
from tabur.model.states import Isolation, State
from tabur.testing.conformance import Subject, move
from tabur.testing.conformance.subject import KEY
from tests.drivers.redis_servers import Start


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def store(redis_server: RedisServer, prefix: str) -> Iterator[Subject]:
    subject = Subject(lambda clock: RedisDriver(redis_server.url(), prefix=prefix, clock=clock))
    yield subject
    subject.driver.close()


@pytest.fixture
def calls(start: Start) -> Iterator[tuple[Subject, RedisServer]]:
    """A server on which nobody else calls anything."""
    server = start()
    subject = Subject(lambda clock: RedisDriver(server.url(), clock=clock))
    yield subject, server
    subject.driver.close()


# what it costs


def test_many_ends_in_one_turn_are_one_change_of_their_batch(
    calls: tuple[Subject, RedisServer],
) -> None:
    """The batch is read once and written once."""
    store, server = calls
    store.put_many(201)
    plain = _commands_of_a_settle(store, server)
    batch, _ = store.put_batch(201)
    bound = _commands_of_a_settle(store, server)
    assert store.counts(batch) == (201, 1, 0, 0)
    more = {name: count - plain.get(name, 0) for name, count in bound.items()}
    assert {name: count for name, count in more.items() if count} == {
        "hget": 1,
        "hset": 1,
    }


def _commands_of_a_settle(store: Subject, server: RedisServer) -> dict[str, int]:
    """What a turn that completes 200 jobs calls."""
    moves = [move(each, State.COMPLETED) for each in store.claim()[:200]]
    server.ask("CONFIG", "RESETSTAT")
    assert store.settle(*moves) == [Settled.DONE] * 200
    called: dict[str, int] = {}
    for line in server.ask("INFO", "commandstats").split():
        name, _, numbers = line.partition(":calls=")
        if numbers and name != "cmdstat_config|resetstat":
            called[name.removeprefix("cmdstat_")] = int(numbers.partition(",")[0])
    return called


def test_a_follow_up_may_take_the_key_of_the_job_that_ends(store: Subject) -> None:
    store.put_bound(unique=Unique(key=KEY))
    again = store.keyed()
    claimed = store.claim_one()
    assert store.settle(move(claimed, State.COMPLETED, follow_ups=(Dispatch(again),))) == [
        Settled.DONE
    ]
    assert store.state(again) is State.PENDING
    assert store.holder() == again.id


# what is bounded


def test_more_jobs_than_one_command_takes_may_wait_for_one(store: Subject) -> None:
    waiting = [store.bound(blockers=1) for _ in range(9_000)]
    first = store.bound(next=[each.id for each in waiting])
    store.driver.dispatching.dispatch([*waiting, first])
    store.settle(move(store.claim_one(), State.FAILED))
    which = Filter(states=(State.CANCELLED,))
    assert store.driver.inspection.count(which, at_most=99_999) == 9_000
    assert store.driver.dispatching.retry([first.id]) == 1
    which = Filter(states=(State.BLOCKED,))
    assert store.driver.inspection.count(which, at_most=99_999) == 9_000
    store.settle(move(store.claim_one(), State.COMPLETED))
    assert store.driver.inspection.count(which, at_most=99_999) == 0


def test_a_batch_that_comes_in_parts_does_not_finish_between_them(
    store: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "JOBS_AT_ONCE", 2)
    last = store.new(blockers=1)
    batch = store.new_batch(next=(last.id,))
    jobs = [store.bound(batch=batch.id) for _ in range(4)]
    refused = store.bound(batch=new_id())
    with pytest.raises(ConfigError, match="takes no more"):
        store.driver.dispatching.dispatch([*jobs, refused, last], [batch])
    store.drain()
    record = store.batch(batch)
    assert (record.pending, record.finished_at) == (0, None)
    assert store.state(last) is State.BLOCKED

    assert store.driver.dispatching.dispatch([*jobs, last], [batch]) == {}
    store.drain()
    assert store.counts(batch) == (4, 0, 0, 0)
    assert store.batch(batch).is_complete
    assert store.state(last) is State.COMPLETED
    finished_at = store.batch(batch).finished_at
    store.clock.advance(1)
    store.driver.dispatching.dispatch([*jobs, last], [batch])
    assert store.batch(batch).finished_at == finished_at


def test_what_waits_is_brought_in_before_what_it_waits_for(
    store: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, the first of which may have run before the last is here."""
    monkeypatch.setattr(dispatching, "JOBS_AT_ONCE", 1)
    chain = store.chain(3)
    refused = store.bound(batch=new_id())
    with pytest.raises(ConfigError, match="takes no more"):
        store.driver.dispatching.dispatch([chain[0], refused, *chain[1:]])
    assert store.drain() == [each.id for each in chain]


# what stays and what goes


def test_jobs_with_bonds_keep_their_place_while_others_are_taken_out(
    store: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 2)
    jobs: list[NewJob] = []
    queues = ("a", "b")
    for n in range(24):
        queue = queues[n % 2]
        jobs.append(
            store.put(queue=queue) if n % 3 == 0 else store.put_bound(next=(new_id(),), queue=queue)
        )
    token = store.claim("a", slots={Isolation.THREAD: 4})[0].token
    store.driver.claiming.release_token(token)
    plain = [job.id for job in jobs if job.bonds is None]
    taken: list[bytes] = []
    while found := store.driver.transfer.take_out(None, limit=3):
        taken += [job.id for job in found]
    assert sorted(taken) == sorted(plain)
    left = [job for job in jobs if job.bonds is not None]
    for queue in queues:
        assert [each.id for each in store.claim(queue)] == [
            job.id for job in left if job.queue == queue
        ]


def test_nothing_is_left_of_jobs_with_bonds_that_are_gone(
    store: Subject, redis_server: RedisServer, prefix: str
) -> None:
    last = store.bound(blockers=2)
    batch = store.new_batch(next=(last.id,), catch=(new_id(),), finally_=(new_id(),))
    chain = store.chain(3, batch=batch.id)
    tail = store.bound(next=(last.id,))
    keyed = [
        store.keyed(batch=batch.id, key=bytes([n]) * 16, window=window)
        for n, window in enumerate((None, 5_000_000))
    ]
    replaced = store.keyed(key=bytes([2]) * 16, window=5_000_000)
    store.driver.dispatching.dispatch([*chain, *keyed, tail, last, replaced], [batch])
    store.drain(failing={chain[0].id})
    store.driver.dispatching.retry([chain[0].id])
    store.drain()
    assert store.batch(batch).is_complete
    assert store.driver.dispatching.forget(Filter()) == 8
    store.clock.advance(6)
    assert store.driver.batches.prune(before=store.clock(), limit=10) == 1
    with closing(RedisDriver(redis_server.url(), prefix=prefix)) as driver:
        names = driver._link.ask("KEYS", f"{{{prefix}}}*")
    assert names == [f"{{{prefix}}}:places".encode()]


# full memory


def test_a_full_memory_lets_batches_chains_and_keys_drain(start: Start) -> None:
    server = start("--maxmemory", "8mb")
    store = Subject(lambda clock: RedisDriver(server.url(), clock=clock))
    last = store.new(blockers=2)
    batch = store.new_batch(next=(last.id,))
    chain = store.chain(3, batch=batch.id)
    unique = Unique(key=b"u" * 16, until_start=True)
    keyed = store.bound(batch=batch.id, unique=unique)
    failing = store.bound(next=(last.id,))
    stopped = store.new_batch()
    of_stopped = [store.bound(batch=stopped.id) for _ in range(3)]
    store.driver.dispatching.dispatch([*chain, keyed, last, failing, *of_stopped], [batch, stopped])
    with pytest.raises(StoreUnavailable, match="memory is full"):
        while True:
            store.put(payload=b"x" * 10_000, queue="bulk")
    with pytest.raises(StoreUnavailable, match="memory is full"):
        while True:
            store.put_batch(1, allow_failures=True)

    assert store.driver.batches.cancel(stopped.id)
    assert store.driver.batches.cancelled([batch.id, stopped.id]) == {stopped.id}
    claimed = store.claim()
    store.driver.claiming.begin([(each.id, each.token) for each in claimed])
    ids = {each.id: each for each in claimed}
    store.settle(move(ids[failing.id], State.FAILED))
    assert store.state(last) is State.CANCELLED
    store.settle(
        *(
            move(each, State.CANCELLED)
            for each in claimed
            if each.bonds and each.bonds.batch == stopped.id
        )
    )
    store.settle(move(ids[keyed.id], State.COMPLETED), move(ids[chain[0].id], State.COMPLETED))
    store.drain()
    assert store.counts(batch) == (4, 0, 0, 0)
    assert store.counts(stopped) == (3, 0, 0, 3)
    store.clock.advance(1)
    assert store.driver.batches.prune(before=store.clock(), limit=10) == 2
    store.driver.close()
