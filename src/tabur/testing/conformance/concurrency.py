"""Many threads at once: each job is run by one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from tabur.drivers.contract import CancelAnswer, Filter
from tabur.model.outcome import Settled
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation, State
from tabur.testing.conformance.subject import Subject, move

THREADS = 8


def each_job_is_claimed_by_one_of_many_threads(store: Subject) -> None:
    jobs = store.put_many(400)
    claimed: list[ClaimedJob] = []

    def work(n: int) -> None:
        while batch := store.claim(worker=f"w{n}", slots={Isolation.THREAD: 7}):
            claimed.extend(batch)
            done = [move(each, State.COMPLETED, worker=f"w{n}") for each in batch]
            assert store.settle(*done) == [Settled.DONE] * len(batch)

    _together(work)
    assert Counter(each.id for each in claimed) == Counter(job.id for job in jobs)
    completed = Filter(states=(State.COMPLETED,))
    assert store.driver.inspection.count(completed, at_most=1000) == 400


def dispatching_and_claiming_go_on_side_by_side(store: Subject) -> None:
    per_thread = 50
    claimed: list[bytes] = []
    all_in = threading.Event()
    dispatchers_left = [THREADS // 2]
    lock = threading.Lock()

    def run(n: int) -> None:
        if n % 2:
            for _ in range(per_thread // 5):
                store.put_many(5)
            with lock:
                dispatchers_left[0] -= 1
                if not dispatchers_left[0]:
                    all_in.set()
            return
        while True:
            last_look = all_in.is_set()
            batch = store.claim(worker=f"w{n}", slots={Isolation.THREAD: 3})
            claimed.extend(each.id for each in batch)
            store.settle(*(move(each, State.COMPLETED) for each in batch))
            if last_look and not batch:
                return

    _together(run)
    assert len(claimed) == len(set(claimed)) == per_thread * THREADS // 2


def one_id_dispatched_by_many_threads_is_one_job(store: Subject) -> None:
    jobs = [store.new() for _ in range(30)]

    def dispatch(_: int) -> None:
        for job in jobs:
            store.driver.dispatching.dispatch([job])

    _together(dispatch)
    assert Counter(each.id for each in store.claim()) == Counter(job.id for job in jobs)


def a_settle_and_a_cancel_at_once_have_one_winner(store: Subject) -> None:
    store.put_many(40)
    claimed = store.claim()
    store.put_many(40)
    waiting = store.driver.inspection.list(Filter(states=(State.PENDING,)), limit=100)
    answers: list[CancelAnswer] = []
    settled: list[Settled] = []

    def run(n: int) -> None:
        if n == 0:
            for each in claimed:
                settled.extend(store.settle(move(each, State.PENDING)))
        elif n == 1:
            answers.extend(store.driver.dispatching.cancel(each.id) for each in claimed)
        elif n == 2:
            while store.claim(worker="w2", slots={Isolation.THREAD: 2}):
                pass
        elif n == 3:
            for record in waiting:
                store.driver.dispatching.cancel(record.id)

    _together(run)
    assert settled == [Settled.DONE] * 40
    assert set(answers) <= {CancelAnswer.CANCELLED, CancelAnswer.CANCELLING}
    for each in claimed:
        record = store.find(each.id)
        assert record.state is State.CANCELLED or record.cancelling
    assert store.driver.inspection.count(Filter(), at_most=100) == 80


def _together(run: Callable[[int], None]) -> None:
    """Run in so many threads at once; the first error is raised here."""
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def guarded(n: int) -> None:
        start.wait()
        try:
            run(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
