"""What holds between processes that share a store."""

from __future__ import annotations

import threading
from collections import Counter
from time import monotonic

from tabur.testing.conformance.subject import Subject
from tabur.testing.conformance.waking import LONG


def a_dispatch_from_another_process_is_heard(store: Subject) -> None:
    assert store.dispatch_elsewhere is not None
    job = store.new()
    listener = store.driver.listen()
    try:
        listener.wait(0)
        other = threading.Thread(target=store.dispatch_elsewhere, args=(job,))
        other.start()
        assert listener.wait(LONG)
        other.join()
    finally:
        listener.close()
    assert store.claim_one().id == job.id


def an_id_known_to_another_process_is_known_here(store: Subject) -> None:
    assert store.dispatch_elsewhere is not None
    job = store.new(payload=b"1")
    store.dispatch_elsewhere(job)
    store.driver.dispatching.dispatch([store.new(id=job.id, payload=b"2")])
    store.dispatch_elsewhere(job)
    assert [each.payload for each in store.claim()] == [b"1"]


def each_tick_is_decided_by_one_of_two_processes(store: Subject) -> None:
    assert store.advance_elsewhere is not None
    schedules = [store.schedule(f"s{n:03}") for n in range(200)]
    here, elsewhere = ([store.advancing(each) for each in schedules] for _ in range(2))
    answers: list[bool] = []
    advance = store.advance_elsewhere
    other = threading.Thread(target=lambda: answers.extend(advance(elsewhere)))
    other.start()
    deadline = monotonic() + LONG
    while not store.driver.schedules.ticks(None, limit=1):
        assert monotonic() < deadline, "the other process has decided nothing"
    # It has begun: what it has decided is refused here at once, until both come to the same place.
    own = [store.advance(move)[0] for move in here]
    other.join()
    assert [a + b for a, b in zip(own, answers, strict=True)] == [1] * len(schedules)
    ticks = store.driver.schedules.ticks(None, limit=1_000)
    assert Counter(each.schedule for each in ticks) == Counter(each.name for each in schedules)
    decided = {move.ticks[0].job for move, mine in zip(here, own, strict=True) if mine}
    decided |= {move.ticks[0].job for move, its in zip(elsewhere, answers, strict=True) if its}
    assert {each.job for each in ticks} == decided == {each.id for each in store.claim()}
