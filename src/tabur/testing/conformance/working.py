"""Workers: who works, beats, and the signal to stop."""

from __future__ import annotations

from tabur.model.records import WorkerRecord
from tabur.testing.conformance.subject import Subject


def a_worker_is_listed_as_it_made_itself_known(store: Subject) -> None:
    workers = [
        WorkerRecord("w1", "host-1", 41, 1_000, queues=("high", "default"), supervisor="s1"),
        WorkerRecord("w2", "host-2", 42, 2_000),
    ]
    for each in workers:
        store.driver.workers.register(each)
    assert sorted(store.driver.workers.list(), key=lambda each: each.id) == workers


def registering_again_replaces(store: Subject) -> None:
    store.driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    store.driver.workers.register(WorkerRecord("w1", "host", 2, 2))
    assert [each.pid for each in store.driver.workers.list()] == [2]


def beats_are_counted_one_by_one(store: Subject) -> None:
    for name in ("w1", "w2", "w3"):
        store.driver.workers.register(WorkerRecord(name, "host", 1, 1))
    store.driver.workers.beat(["w1", "w2"])
    store.driver.workers.beat(["w1"])
    beats = {each.id: each.beats for each in store.driver.workers.list()}
    assert beats == {"w1": 2, "w2": 1, "w3": 0}


def a_removed_worker_is_not_brought_back_by_a_beat(store: Subject) -> None:
    store.driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    store.driver.workers.remove("w1")
    store.driver.workers.remove("w1")
    store.driver.workers.beat(["w1", "never there"])
    assert list(store.driver.workers.list()) == []
