"""The redis driver on a cluster of three nodes: all keys of one app on one of them."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from redis.crc import key_slot

from servers.redis import RedisCluster, RedisServer
from tabur.drivers.redis.driver import RedisDriver
from tabur.errors import StoreUnavailable
from tabur.testing.conformance import OBLIGATIONS, Clock, MakeDriver, Obligation, Subject, check


@pytest.fixture
def prefix() -> str:
    return uuid4().hex


@pytest.fixture
def make_driver(redis_cluster: RedisCluster, prefix: str) -> MakeDriver:
    return lambda clock: RedisDriver(redis_cluster.url(), prefix=prefix, clock=clock)


@pytest.fixture
def store(make_driver: MakeDriver) -> Iterator[Subject]:
    subject = Subject(make_driver)
    yield subject
    subject.driver.close()


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=lambda each: each.__name__)
def test_the_redis_driver_on_a_cluster(obligation: Obligation, make_driver: MakeDriver) -> None:
    check(obligation, make_driver)


def test_any_node_leads_to_the_right_one(redis_cluster: RedisCluster, prefix: str) -> None:
    drivers = [RedisDriver(node.url(), prefix=prefix) for node in redis_cluster.nodes]
    for driver in drivers:
        driver.control.restart()
    assert [driver.control.signals().restarts for driver in drivers] == [3, 3, 3]
    for driver in drivers:
        driver.close()


def test_a_node_that_is_gone_is_passed_over(redis_cluster: RedisCluster, prefix: str) -> None:
    host = redis_cluster.url().removeprefix("redis://").partition("/")[0]
    driver = RedisDriver(f"redis://127.0.0.1:1,{host}/0", prefix=prefix)
    driver.control.restart()
    driver.close()


def test_a_slot_that_moves_is_followed(
    redis_cluster: RedisCluster, prefix: str, store: Subject
) -> None:
    slot = key_slot(f"{{{prefix}}}:jobs".encode())
    store.driver.check()
    owner, other = _owner(redis_cluster, prefix), _other(redis_cluster, prefix)
    listener = store.driver.listen()
    try:
        _give(redis_cluster, slot, other)
        job = store.put()
        assert listener.wait(5)
        assert store.claim_one().id == job.id
        assert other.ask("CLUSTER", "COUNTKEYSINSLOT", slot) != ":0"
        assert store.driver.dispatching.clear("default") == 0
    finally:
        listener.close()
        other.ask("FLUSHALL")
        _give(redis_cluster, slot, owner)


def test_a_node_that_died_is_unavailable_until_it_is_back(
    redis_cluster: RedisCluster, prefix: str, make_driver: MakeDriver
) -> None:
    driver = make_driver(Clock())
    driver.control.restart()
    owner = _owner(redis_cluster, prefix)
    owner.kill()
    with pytest.raises(StoreUnavailable):
        driver.control.signals()
    owner.restart()
    redis_cluster.wait()
    assert driver.control.signals().restarts == 0  # this server keeps nothing
    driver.close()


def _owner(cluster: RedisCluster, prefix: str) -> RedisServer:
    return next(node for node in cluster.nodes if _serves(node, prefix))


def _other(cluster: RedisCluster, prefix: str) -> RedisServer:
    return next(node for node in cluster.nodes if not _serves(node, prefix))


def _serves(node: RedisServer, prefix: str) -> bool:
    return not node.ask("EXISTS", f"{{{prefix}}}:jobs").startswith("-MOVED")


def _give(cluster: RedisCluster, slot: int, owner: RedisServer) -> None:
    """A slot without keys changes hands."""
    name = owner.ask("CLUSTER", "MYID")
    for node in sorted(cluster.nodes, key=lambda node: node is not owner):
        assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", name) == "+OK"
