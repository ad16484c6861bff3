"""Payloads and results under another key: nothing else of a job changes."""

from __future__ import annotations

from msgspec.structs import replace

from tabur.drivers.contract import Body, Rewrite
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import State
from tabur.testing.conformance.payloads import ODD_BYTES
from tabur.testing.conformance.subject import Subject, move

NEW = b"sealed.1.0badcafe.\x00\xff"


def a_payload_is_rewritten_in_every_state(store: Subject) -> None:
    claimed = store.running(payload=b"old", tenant="t", options=b"{}")
    jobs: list[NewJob | ClaimedJob] = [
        store.put(payload=b"old", priority=3),
        store.put(payload=b"old", due_at=store.clock.ahead(60)),
        store.put(payload=b"old", blockers=1),
        claimed,
        *(store.finished(to, queue="ended", payload=b"old") for to in _ENDS),
    ]
    before = [store.find(each.id) for each in jobs]
    changes = [Rewrite(each.id, Body.PAYLOAD, b"old", NEW) for each in jobs]
    assert store.driver.transfer.rewrite(changes) == len(jobs)
    assert [store.find(each.id) for each in jobs] == [replace(each, payload=NEW) for each in before]
    assert store.claim_one().payload == NEW
    store.settle(move(claimed, State.COMPLETED))
    assert store.state(claimed) is State.COMPLETED


def a_result_is_rewritten(store: Subject) -> None:
    claimed = store.running()
    store.settle(move(claimed, State.SCHEDULED, due_at=store.clock()))
    again = store.claim_one()
    store.settle(move(again, State.COMPLETED, result=b"old"))
    before, history = store.find(claimed.id), store.driver.inspection.attempts(claimed.id)
    assert store.driver.transfer.rewrite([Rewrite(claimed.id, Body.RESULT, b"old", NEW)]) == 1
    assert store.find(claimed.id) == replace(before, result=NEW)
    assert store.driver.inspection.attempts(claimed.id) == history


def what_has_changed_meanwhile_is_not_rewritten(store: Subject) -> None:
    job, ended = store.put(payload=b"newer"), store.finished(queue="ended", payload=b"newer")
    kept = store.running(queue="kept")
    store.settle(move(kept, State.COMPLETED, result=b"newer"))
    changes = [
        Rewrite(kept.id, Body.RESULT, b"er", NEW),
        Rewrite(job.id, Body.PAYLOAD, b"er", NEW),
        Rewrite(job.id, Body.RESULT, b"newer", NEW),
        Rewrite(ended.id, Body.RESULT, b"newer", NEW),
        Rewrite(store.new().id, Body.PAYLOAD, b"newer", NEW),
    ]
    assert store.driver.transfer.rewrite(changes) == 0
    assert (store.find(job.id).payload, store.find(ended.id).result) == (b"newer", None)
    assert store.find(kept.id).result == b"newer"


def rewriting_again_changes_nothing(store: Subject) -> None:
    job = store.put(payload=b"old")
    changes = [Rewrite(job.id, Body.PAYLOAD, b"old", NEW)]
    assert [store.driver.transfer.rewrite(changes) for _ in range(2)] == [1, 0]
    assert store.driver.transfer.rewrite([]) == 0


def bodies_are_rewritten_byte_for_byte(store: Subject) -> None:
    jobs = [store.put(payload=each) for each in ODD_BYTES]
    changes = [
        Rewrite(job.id, Body.PAYLOAD, job.payload, job.payload + b"\xfe more") for job in jobs
    ]
    assert store.driver.transfer.rewrite(changes) == len(jobs)
    assert [each.payload for each in store.claim()] == [each.after for each in changes]


_ENDS = (State.COMPLETED, State.FAILED, State.CANCELLED)
