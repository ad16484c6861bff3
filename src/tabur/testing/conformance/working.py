"""Workers: who works, and beats."""

from __future__ import annotations

from tabur.model.ids import new_worker_id
from tabur.model.records import Pace, WorkerRecord
from tabur.model.states import Isolation
from tabur.testing.conformance.subject import CRASH, Subject


def a_worker_is_listed_as_it_made_itself_known(store: Subject) -> None:
    workers = [
        WorkerRecord(
            *("w1", "host-1", 41, 1_000),
            queues=("high", "default"),
            supervisor="s1",
            version="2026.11-7f3a",
        ),
        WorkerRecord("w2", "host-2", 42, 2_000),
    ]
    for each in workers:
        store.driver.workers.register(each)
    assert sorted(store.driver.workers.list(), key=lambda each: each.id) == workers


def the_longest_name_of_a_worker_is_kept_whole(store: Subject) -> None:
    worker, supervisor = (new_worker_id("bénévole-" * 9) for _ in range(2))
    assert len(worker) == 40
    store.driver.workers.register(WorkerRecord(worker, "h", 1, 1, supervisor=supervisor))
    store.put()
    claimed = store.claim_one(worker=worker)
    assert store.find(claimed.id).worker == worker
    store.driver.workers.beat([worker])
    (seen,) = store.driver.workers.list()
    assert (seen.id, seen.supervisor, seen.beats) == (worker, supervisor, 1)
    assert store.driver.claiming.release_worker(worker, crash=CRASH) == 1
    assert [each.worker for each in store.driver.inspection.attempts(claimed.id)] == [worker]


def registering_again_replaces(store: Subject) -> None:
    store.driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    store.driver.workers.register(WorkerRecord("w1", "host", 2, 2))
    assert [each.pid for each in store.driver.workers.list()] == [2]


def beats_are_counted_one_by_one(store: Subject) -> None:
    for name in ("w1", "w2", "w3"):
        store.driver.workers.register(WorkerRecord(name, "host", 1, 1))
    assert store.driver.workers.beat(["w1", "w2"]) == 2
    assert store.driver.workers.beat(["w1"]) == 1
    beats = {each.id: each.beats for each in store.driver.workers.list()}
    assert beats == {"w1": 2, "w2": 1, "w3": 0}


def how_fast_a_worker_is_is_kept_until_it_is_told_anew(store: Subject) -> None:
    workers = store.driver.workers
    for name in ("w1", "w2", "w3"):
        workers.register(WorkerRecord(name, "host", 1, 1))
    workers.remove("w3")
    workers.tell({"w1": Pace(38.2, 0.12), "w2": Pace(0.0), "w3": Pace(1.0, 1.0)})
    workers.beat(["w1"])
    workers.tell({"w1": Pace(1e9, 1e-6)})
    workers.tell({})
    seen = {each.id: (each.beats, each.pace) for each in workers.list()}
    assert seen == {"w1": (1, Pace(1e9, 1e-6)), "w2": (0, Pace(0.0, None))}
    workers.register(WorkerRecord("w1", "host", 1, 1))
    assert {each.id: each.pace for each in workers.list()}["w1"] is None
    workers.remove("w2")
    workers.register(WorkerRecord("w2", "host", 1, 1))
    assert [each.pace for each in workers.list()] == [None, None]


def a_removed_worker_is_not_brought_back_by_a_beat(store: Subject) -> None:
    store.driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    store.driver.workers.register(WorkerRecord("w2", "host", 2, 2))
    assert store.driver.workers.remove("w1")
    assert not store.driver.workers.remove("w1")
    assert store.driver.workers.beat(["w1", "w2", "never there"]) == 1, "who is not known is told"
    assert [each.id for each in store.driver.workers.list()] == ["w2"]


def a_worker_that_has_beaten_meanwhile_is_not_removed(store: Subject) -> None:
    store.driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    assert not store.driver.workers.remove("w1", beats=1)
    store.driver.workers.beat(["w1"])
    assert not store.driver.workers.remove("w1", beats=0)
    assert store.driver.workers.remove("w1", beats=1)
    assert list(store.driver.workers.list()) == []


def who_holds_something_is_told_whether_registered_or_not(store: Subject) -> None:
    assert list(store.driver.claiming.holders()) == []
    store.driver.workers.register(WorkerRecord("w1", "host", 1, 1))
    store.put_many(3)
    store.claim(worker="w1", slots={Isolation.THREAD: 2})
    store.claim(worker="nobody")
    store.claim(worker="w3")
    assert sorted(store.driver.claiming.holders()) == ["nobody", "w1"]
    assert store.driver.claiming.release_worker("nobody") == 1
    assert list(store.driver.claiming.holders()) == ["w1"]
