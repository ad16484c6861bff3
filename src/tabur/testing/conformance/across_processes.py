"""What holds between processes that share a store."""

from __future__ import annotations

import threading

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
