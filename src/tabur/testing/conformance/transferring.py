"""Taking jobs out for another store: each stands in one of them, and nobody runs it meanwhile."""

from __future__ import annotations

from tabur.drivers.contract import CancelAnswer
from tabur.model.bonds import Unique
from tabur.model.ids import new_id
from tabur.model.outcome import Unblock
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import Subject, move


def what_waits_is_taken_out_as_it_was_dispatched(store: Subject) -> None:
    pending = store.put(priority=3, tenant="t", user="u", locale="ar", options=b"{}", payload=b"[]")
    scheduled = store.put(due_at=store.clock.ahead(60))
    assert list(store.driver.transfer.take_out(None, limit=10)) == [pending, scheduled]
    assert list(store.driver.transfer.take_out(None, limit=10)) == []


def taken_out_jobs_stand_still(store: Subject) -> None:
    taken = store.put()
    store.put(due_at=store.clock.ahead(1))
    store.driver.transfer.take_out(None, limit=10)
    store.clock.advance(60)
    assert store.claim() == []
    assert store.turn().next_due is None
    assert store.state(taken) is State.BLOCKED


def what_runs_is_blocked_or_has_ended_is_not_taken_out(store: Subject) -> None:
    store.finished()
    running, blocked = store.running(), store.put(blockers=1)
    assert list(store.driver.transfer.take_out(None, limit=10)) == []
    assert (store.state(running), store.state(blocked)) == (State.PROCESSING, State.BLOCKED)
    assert list(store.driver.transfer.taken_out()) == []


def what_has_bonds_is_not_taken_out(store: Subject) -> None:
    batch, (job,) = store.put_batch(1)
    scheduled = store.put_bound(next=(new_id(),), due_at=store.clock.ahead(60))
    keyed = store.put_bound(unique=Unique(b"k" * 16))
    free = store.put()
    assert list(store.driver.transfer.take_out(None, limit=10)) == [free]
    assert {each.id for each in store.claim()} == {job.id, keyed.id}
    assert store.state(scheduled) is State.SCHEDULED
    assert store.counts(batch) == (1, 1, 0, 0)


def only_the_queue_that_was_named_is_taken_out(store: Subject) -> None:
    store.put(queue="a")
    wanted = store.put(queue="b")
    assert list(store.driver.transfer.take_out("b", limit=10)) == [wanted]
    assert len(store.claim("a", "b")) == 1


def no_more_is_taken_out_than_was_asked_for(store: Subject) -> None:
    store.put_many(5)
    assert len(store.driver.transfer.take_out(None, limit=2)) == 2
    assert len(store.claim()) == 3


def a_waiting_retry_keeps_its_counters_and_its_due_time(store: Subject) -> None:
    claimed = store.running()
    due_at = store.clock.ahead(60)
    store.settle(move(claimed, State.SCHEDULED, due_at=due_at, exceptions=1, crashes=1))
    (taken,) = store.driver.transfer.take_out(None, limit=10)
    assert (taken.attempts, taken.exceptions, taken.crashes) == (1, 1, 1)
    assert (taken.due_at, taken.isolation) == (due_at, Isolation.PROCESS)


def counters_come_along_into_the_other_store(store: Subject) -> None:
    store.put(attempts=3, exceptions=2, crashes=1)
    claimed = store.claim_one()
    assert (claimed.attempts, claimed.exceptions, claimed.crashes) == (3, 2, 1)
    waiting = store.put(attempts=4, due_at=store.clock.ahead(60))
    assert store.find(waiting.id).attempts == 4


def who_comes_after_a_mover_that_died_finds_what_it_took_out(store: Subject) -> None:
    jobs = store.put_many(3)
    store.driver.transfer.take_out(None, limit=2)
    assert sorted(each.id for each in store.driver.transfer.taken_out()) == sorted(
        job.id for job in jobs[:2]
    )


def what_is_gone_is_unknown(store: Subject) -> None:
    first, second = store.put_many(2)
    store.driver.transfer.take_out(None, limit=10)
    store.driver.transfer.gone([first.id])
    assert not store.is_known(first)
    assert [each.id for each in store.driver.transfer.taken_out()] == [second.id]
    store.driver.transfer.gone([first.id, second.id])
    assert list(store.driver.transfer.taken_out()) == []


def what_was_not_taken_out_cannot_be_gone(store: Subject) -> None:
    job = store.put()
    store.driver.transfer.gone([job.id])
    store.driver.transfer.put_back([job.id])
    assert store.claim_one().id == job.id


def what_is_put_back_waits_here_again(store: Subject) -> None:
    due_at = store.clock.ahead(60)
    pending, scheduled = store.put(), store.put(due_at=due_at)
    store.driver.transfer.take_out(None, limit=10)
    store.driver.transfer.put_back([pending.id, scheduled.id])
    assert store.claim_one().id == pending.id
    assert store.find(scheduled.id).due_at == due_at
    store.clock.advance(61)
    assert store.claim_one().id == scheduled.id


def a_taken_out_job_cannot_be_unblocked(store: Subject) -> None:
    parent = store.running()
    job = store.put()
    store.driver.transfer.take_out(None, limit=10)
    store.settle(move(parent, State.COMPLETED, follow_ups=(Unblock(job.id),)))
    assert store.claim() == []
    assert len(store.driver.transfer.taken_out()) == 1


def a_taken_out_job_may_be_cancelled(store: Subject) -> None:
    """Then it stays here as cancelled, whatever the other store has got by then."""
    job = store.put()
    store.driver.transfer.take_out(None, limit=10)
    assert store.driver.dispatching.cancel(job.id) is CancelAnswer.CANCELLED
    assert list(store.driver.transfer.taken_out()) == []
    store.driver.transfer.gone([job.id])
    assert store.state(job) is State.CANCELLED


def what_a_worker_holds_is_told(store: Subject) -> None:
    first, second = store.running(), store.running()
    assert sorted(store.driver.claiming.held("w1")) == sorted(
        (each.id, each.token) for each in (first, second)
    )
    store.settle(move(first, State.COMPLETED))
    assert list(store.driver.claiming.held("w1")) == [(second.id, second.token)]
    assert list(store.driver.claiming.held("w2")) == []
