"""Claims: which jobs, in which order, how many, and under whose token."""

from __future__ import annotations

from time import perf_counter

from tabur.model.ids import new_token
from tabur.model.outcome import Settled
from tabur.model.records import Owner
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import Subject, hand_back, move

LOOP, THREAD, PROCESS = Isolation.LOOP, Isolation.THREAD, Isolation.PROCESS


def a_claim_bears_the_job_and_its_token(store: Subject) -> None:
    job = store.put(
        payload=b'{"n":1}', options=b'{"tries":3}', tenant="acme", user="7", locale="ar"
    )
    token = new_token()
    claimed = store.claim_one(token=token)
    for name in ("id", "name", "queue", "isolation", "payload", "created_at", "options", "locale"):
        assert getattr(claimed, name) == getattr(job, name), name
    assert claimed.owner == Owner("acme", "7")
    assert claimed.token == token
    assert (claimed.attempts, claimed.exceptions, claimed.crashes) == (0, 0, 0)


def what_is_claimed_is_processing(store: Subject) -> None:
    job = store.put()
    store.clock.advance(1)
    store.claim(worker="w7")
    record = store.find(job.id)
    assert (record.state, record.worker) == (State.PROCESSING, "w7")
    assert record.claimed_at == store.clock()


def jobs_are_claimed_in_the_order_in_which_they_came(store: Subject) -> None:
    jobs = [*store.put_many(3), store.put(), *store.put_many(2)]
    claimed = [each.id for _ in jobs for each in store.claim(slots={THREAD: 1})]
    assert claimed == [job.id for job in jobs]


def one_claim_keeps_the_order_too(store: Subject) -> None:
    jobs = store.put_many(20)
    assert [each.id for each in store.claim()] == [job.id for job in jobs]


def higher_priorities_are_claimed_first(store: Subject) -> None:
    order = [0, 5, -3, 5, 0, 1_000_000, -1_000_000]
    jobs = [store.put(priority=priority) for priority in order]
    expected = [5, 1, 3, 0, 4, 2, 6]
    claimed = [each.id for _ in jobs for each in store.claim(slots={THREAD: 1})]
    assert claimed == [jobs[n].id for n in expected]


def queues_are_served_in_strict_order(store: Subject) -> None:
    low, high = store.put(queue="low", priority=100), store.put(queue="high")
    elsewhere = store.put(queue="elsewhere")
    assert [each.id for each in store.claim("high", "low", slots={THREAD: 1})] == [high.id]
    second = store.put(queue="high")
    assert [each.id for each in store.claim("high", "low")] == [second.id, low.id]
    assert store.state(elsewhere) is State.PENDING


def another_isolation_ahead_does_not_hold_a_queue_up(store: Subject) -> None:
    store.put_many(3, queue="high", isolation=PROCESS)
    store.put_many(3, isolation=PROCESS, priority=9)
    job = store.put()
    assert [each.id for each in store.claim("high", "default", slots={THREAD: 1})] == [job.id]


def slots_limit_each_isolation(store: Subject) -> None:
    for isolation in Isolation:
        store.put_many(4, isolation=isolation)
    claimed = store.claim(slots={LOOP: 3, THREAD: 1, PROCESS: 0})
    kinds = sorted(each.isolation for each in claimed)
    assert kinds == [LOOP, LOOP, LOOP, THREAD]


def slots_are_shared_by_the_queues(store: Subject) -> None:
    store.put_many(3, queue="a")
    store.put_many(3, queue="b")
    assert [each.queue for each in store.claim("a", "b", slots={THREAD: 4})] == ["a"] * 3 + ["b"]


def without_slots_or_queues_nothing_is_claimed(store: Subject) -> None:
    job = store.put()
    assert store.claim(slots={}) == []
    assert store.turn(token=new_token(), slots={THREAD: 1}).claimed in ([], ())
    assert store.state(job) is State.PENDING


def what_is_held_is_not_claimed_again(store: Subject) -> None:
    first = {each.id for each in [*store.put_many(3)]}
    assert {each.id for each in store.claim()} == first
    assert store.claim() == []
    assert store.claim(worker="w2") == []


def blocked_jobs_are_not_claimed(store: Subject) -> None:
    store.put(blockers=1)
    waiting = store.put(blockers=1, due_at=store.clock.ahead(1))
    store.clock.advance(60)
    assert store.claim() == []
    free, due = store.put(), store.put(due_at=store.clock.ahead(1))
    store.clock.advance(60)
    assert [each.id for each in store.claim()] == [free.id, due.id]
    assert store.state(waiting) is State.BLOCKED


def a_scheduled_job_is_claimed_at_its_time_and_not_before(store: Subject) -> None:
    job = store.put(due_at=store.clock() + 1_000)
    store.clock.now += 999
    assert store.claim() == []
    store.clock.now += 1
    assert [each.id for each in store.claim()] == [job.id]


def due_jobs_are_promoted_in_the_order_of_their_times(store: Subject) -> None:
    late, early = store.put(due_at=store.clock.ahead(20)), store.put(due_at=store.clock.ahead(10))
    urgent = store.put(due_at=store.clock.ahead(30), priority=1)
    store.clock.advance(60)
    assert [each.id for each in store.claim()] == [urgent.id, early.id, late.id]


def a_promoted_job_comes_after_those_that_were_pending(store: Subject) -> None:
    due, pending = store.put(due_at=store.clock.ahead(1)), store.put()
    store.clock.advance(2)
    assert [each.id for each in store.claim()] == [pending.id, due.id]


def many_due_jobs_are_all_promoted_in_time(store: Subject) -> None:
    store.put_many(1200, due_at=store.clock.ahead(1))
    store.clock.advance(1)
    claimed = [each.id for _ in range(4) for each in store.claim(slots={THREAD: 2000})]
    assert len(set(claimed)) == len(claimed) == 1200


def due_jobs_of_other_queues_are_promoted_too(store: Subject) -> None:
    job = store.put(queue="other", due_at=store.clock.ahead(1))
    store.clock.advance(2)
    store.claim("default")
    assert store.state(job) is State.PENDING


def a_turn_tells_when_the_next_job_is_due(store: Subject) -> None:
    assert store.turn(queues=("default",), slots={THREAD: 1}, token=new_token()).next_due is None
    soon = store.clock.ahead(60)
    store.put(due_at=store.clock.ahead(90))
    store.put(due_at=soon, queue="other")
    store.put(due_at=store.clock.ahead(1), blockers=1)
    turn = store.turn(queues=("default",), slots={THREAD: 1}, token=new_token())
    assert (turn.now, turn.next_due) == (store.clock(), soon)
    settling = store.running()
    assert store.turn(settle=[move(settling, State.COMPLETED)]).next_due == soon


def a_handed_back_job_waits_behind_those_that_were_pending(store: Subject) -> None:
    first = store.running()
    second = store.put()
    store.settle(hand_back(first))
    assert [each.id for each in store.claim()] == [second.id, first.id]


def one_turn_settles_and_claims(store: Subject) -> None:
    claimed, waiting = store.running(), store.put()
    turn = store.turn(
        settle=[move(claimed, State.COMPLETED)],
        token=new_token(),
        queues=("default",),
        slots={THREAD: 1},
    )
    assert list(turn.settled) == [Settled.DONE]
    assert [each.id for each in turn.claimed] == [waiting.id]


def the_cost_of_a_claim_does_not_grow_with_what_it_may_not_claim(store: Subject) -> None:
    empty = _seconds_per_claim(store)
    store.put_many(10_000, due_at=store.clock.ahead(3600))
    store.put_many(5_000, blockers=1)
    store.put_many(5_000, queue="done")
    store.driver.dispatching.clear("done")
    store.put_many(5_000, queue="other", priority=9)
    store.put_many(5_000, isolation=PROCESS, priority=9)
    full = _seconds_per_claim(store)
    assert full < 5 * empty + 0.003, f"{empty * 1e6:.0f} µs became {full * 1e6:.0f} µs"


def _seconds_per_claim(store: Subject) -> float:
    store.put_many(50)
    times = []
    for _ in range(50):
        start = perf_counter()
        assert len(store.claim(slots={THREAD: 1})) == 1
        times.append(perf_counter() - start)
    return min(times)  # the machine has other things to do, and the disk
