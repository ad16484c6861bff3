"""Schedules and notes where something goes wrong: answers are lost, jobs cannot be stored, a memory
is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tabur.drivers.contract import Driver
from tabur.drivers.database.driver import DatabaseDriver
from tabur.drivers.redis.driver import RedisDriver
from tabur.errors import ConfigError, StoreUnavailable
from tabur.model.schedules import Note
from tabur.testing.conformance import Clock, Subject
from tests.drivers.conftest import ENGINES
from tests.drivers.redis_servers import Connect, Start
from tests.drivers.relay import Relay

SERVERS = ("postgresql", "mysql", "redis")
#: The words of a question by which a transaction of several statements ends, and a single one is.
ENDS = {"postgresql": b"COMMIT", "mysql": b"COMMIT", "redis": b"EVALSHA"}
NOTES = {"postgresql": b"job_notes", "mysql": b"job_notes", "redis": b"EVALSHA"}


class Place:
    """An empty store, perhaps behind a relay."""

    def __init__(self, name: str, subject: Subject, relay: Relay | None = None) -> None:
        self.name, self.subject, self.relay = name, subject, relay


@pytest.fixture
def open_place(
    request: pytest.FixtureRequest, make_database: Callable[[str], str]
) -> Iterator[Callable[..., Place]]:
    opened: list[Place] = []

    def open_place(name: str, *, relayed: bool = False) -> Place:
        if name == "redis":
            url = request.getfixturevalue("redis_server").url()
        else:
            url = make_database(name)
        relay = None
        if relayed:
            port = urlsplit(url).port
            assert port is not None
            relay = Relay(port)
            url = url.replace(f":{port}", f":{relay.port}")

        def make(clock: Clock) -> Driver:
            if name == "redis":
                return RedisDriver(url, prefix=uuid4().hex, clock=clock)
            return DatabaseDriver(url, clock=clock)

        opened.append(Place(name, Subject(make), relay))
        return opened[-1]

    yield open_place
    for each in opened:
        each.subject.driver.close()
        if each.relay is not None:
            each.relay.close()


@pytest.mark.parametrize("name", SERVERS)
def test_an_advance_whose_answer_was_lost_is_repeated_without_harm(
    open_place: Callable[..., Place], name: str
) -> None:
    place = open_place(name, relayed=True)
    store, relay = place.subject, place.relay
    assert relay is not None
    assert store.advance(store.advancing(store.schedule("before"))) == [True]
    move = store.advancing(store.schedule())
    relay.lose_the_answer_to(ENDS[name])
    with pytest.raises(StoreUnavailable):
        store.advance(move)
    assert store.advance(move) == [False]
    assert store.stored().next_run_at == move.next_run_at
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == list(move.ticks)
    assert [each.id for each in store.claim()][1:] == [move.ticks[0].job]


@pytest.mark.parametrize("name", SERVERS)
def test_nobody_is_told_that_he_came_too_late_for_his_own_note(
    open_place: Callable[..., Place], name: str
) -> None:
    place = open_place(name, relayed=True)
    notes, relay = place.subject.driver.notes, place.relay
    assert relay is not None
    assert notes.write("told", b"1", revision=0)
    relay.lose_the_answer_to(NOTES[name])
    with pytest.raises(StoreUnavailable):
        notes.write("told", b"2", revision=1)
    assert list(notes.read("told")) == [Note("told", b"2", 2)]


@pytest.mark.parametrize("name", [*ENGINES, "redis"])
def test_a_job_that_cannot_be_stored_is_told_and_nothing_beside_it_is_done(
    open_place: Callable[..., Place], name: str
) -> None:
    store = open_place(name).subject
    good, bad = store.schedule("good"), store.schedule("bad")
    tick = store.tick(bad)
    for given in ({"name": "half \ud83d"}, {"priority": 2**70}):
        refused = store.advancing(bad, tick, jobs=(store.new(id=tick.job, **given),))
        with pytest.raises(ConfigError, match="'bad' cannot be stored"):
            store.driver.schedules.advance([store.advancing(good), refused])
    assert (store.stored("good"), store.stored("bad")) == (good, bad)
    assert list(store.driver.schedules.ticks(None, limit=9)) == []
    assert store.claim() == []
    assert store.advance(store.advancing(good)) == [True]
    assert store.advance(store.advancing(bad)) == [True]


def test_a_full_memory_refuses_a_tick_whole_and_it_is_decided_later(
    start: Start, connect: Connect
) -> None:
    server = start("--maxmemory", "8mb")
    store = Subject(lambda clock: connect(server.url(), clock=clock))
    record = store.schedule()
    assert store.driver.notes.write("told", b"1", revision=0)
    with pytest.raises(StoreUnavailable, match="memory is full"):
        while True:
            store.put(queue="full", payload=b"x" * 10_000)
    server.ask("CONFIG", "SET", "maxmemory", "1mb")  # whatever buffers give back meanwhile
    move = store.advancing(record)
    changed = replace(record, definition=b"2", revision=2)
    for act in (
        lambda: store.advance(move),
        lambda: store.driver.schedules.put([changed]),
        lambda: store.driver.notes.write("told", b"2", revision=1),
    ):
        with pytest.raises(StoreUnavailable, match="memory is full"):
            act()
    assert store.stored() == record
    assert list(store.driver.schedules.ticks(None, limit=9)) == []
    assert list(store.driver.notes.read("")) == [Note("told", b"1", 1)]
    assert store.claim() == []

    server.ask("CONFIG", "SET", "maxmemory", "0")
    assert store.driver.schedules.due(limit=9).due == (record,)
    assert store.advance(move) == [True]
    assert [each.id for each in store.claim()] == [move.ticks[0].job]
