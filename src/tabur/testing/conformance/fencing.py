"""Jobs that settle in a transaction of their own: with it or not at all, and never for who has lost
the claim. What a job writes is here a job that it dispatches in its transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from tabur.drivers.contract import Fencing, Transactional
from tabur.model.ids import new_token
from tabur.model.outcome import Cancel, Dispatch, Settled, Unblock
from tabur.model.records import Attempt, ClaimedJob, NewJob, Progress
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject, hand_back, move


def a_job_is_completed_with_what_it_wrote(store: Subject) -> None:
    claimed, written = store.running(), store.new()
    with _transaction(store) as (fence, connection):
        _write(store, connection, written)
        done = move(claimed, State.COMPLETED, result=b"7", started_at=11, ended_at=22)
        assert fence.settle_in(connection, done)
        connection.commit()
    record = store.find(claimed.id)
    assert (record.state, record.result, record.attempts) == (State.COMPLETED, b"7", 1)
    assert (record.started_at, record.ended_at, record.worker) == (11, 22, "w1")
    assert store.driver.inspection.attempts(claimed.id) == [
        Attempt(1, "completed", 11, 22, "w1", None)
    ]
    assert store.state(written) is State.PENDING


def what_is_rolled_back_was_neither_written_nor_completed(store: Subject) -> None:
    claimed, written = store.running(), store.new()
    before = store.find(claimed.id)
    with _transaction(store) as (fence, connection):
        _write(store, connection, written)
        assert fence.settle_in(connection, move(claimed, State.COMPLETED, progress=Progress(9)))
        connection.rollback()
    assert store.find(claimed.id) == before
    assert not store.is_known(written)
    assert store.settle(move(claimed, State.COMPLETED)) == [Settled.DONE]


def its_last_progress_is_kept(store: Subject) -> None:
    for reported in (None, Progress(1, 9, "rows", "first", 1)):
        claimed, last = store.running(), Progress(9, 9, "rows", "last", 2)
        if reported is not None:
            store.report(claimed, reported)
        with _transaction(store) as (fence, connection):
            assert fence.settle_in(connection, move(claimed, State.COMPLETED, progress=last))
            connection.commit()
        assert store.find(claimed.id).progress == last


def who_lost_the_claim_is_refused(store: Subject) -> None:
    lost, written = store.running(), store.new()
    store.driver.claiming.release_worker("w1")
    _refused(store, lost, written)
    again = store.claim_one(worker="w2")
    before = store.find(lost.id)
    _refused(store, lost, written)
    assert store.find(lost.id) == before
    with _transaction(store) as (fence, connection):
        assert fence.settle_in(connection, move(again, State.COMPLETED, worker="w2"))
        connection.commit()
    _refused(store, lost, written)
    assert store.find(lost.id).worker == "w2"
    assert len(store.driver.inspection.attempts(lost.id)) == 1


def another_token_is_refused(store: Subject) -> None:
    claimed = store.running()
    before = store.find(claimed.id)
    with _transaction(store) as (fence, connection):
        assert not fence.settle_in(connection, move(claimed, State.COMPLETED, token=new_token()))
        connection.rollback()
    assert store.find(claimed.id) == before


def the_usual_settle_after_it_answers_done_and_changes_nothing(store: Subject) -> None:
    claimed = _completed(store)
    before = store.find(claimed.id)
    failed = move(claimed, State.FAILED)
    assert store.settle(failed, move(claimed, State.PENDING)) == [Settled.DONE] * 2
    assert store.settle(hand_back(claimed)) == [Settled.DONE]
    assert store.find(claimed.id) == before
    assert len(store.driver.inspection.attempts(claimed.id)) == 1
    assert store.claim() == []


def a_second_one_is_refused(store: Subject) -> None:
    claimed = _completed(store)
    _refused(store, claimed, store.new())


def whether_it_has_committed_can_be_asked(store: Subject) -> None:
    fence = _fence(store)
    claimed = store.running()
    assert not fence.is_settled(claimed.id, claimed.token)
    with _transaction(store) as (_, connection):
        assert fence.settle_in(connection, move(claimed, State.COMPLETED))
        connection.rollback()
    assert not fence.is_settled(claimed.id, claimed.token)
    store.settle(move(claimed, State.FAILED))
    assert not fence.is_settled(claimed.id, claimed.token), "it has failed in the usual way"
    done = _completed(store)
    assert fence.is_settled(done.id, done.token)
    assert not fence.is_settled(done.id, new_token())


def asking_waits_for_a_commit_that_is_on_its_way(store: Subject) -> None:
    fence, claimed = _fence(store), store.running()
    answers: list[bool] = []
    asking = threading.Thread(
        target=lambda: answers.append(fence.is_settled(claimed.id, claimed.token))
    )
    with _transaction(store) as (_, connection):
        assert fence.settle_in(connection, move(claimed, State.COMPLETED))
        asking.start()
        asking.join(0.2)
        assert asking.is_alive()
        connection.commit()
    asking.join()
    assert answers == [True]


def a_claim_is_either_settled_or_released(store: Subject) -> None:
    """Whichever comes first; and who comes second waits for what becomes of the first, or takes
    nothing."""
    for settle_first in (True, False):
        claimed, written = store.running(), store.new()
        released: list[int] = []
        releasing = threading.Thread(
            target=lambda into=released: into.append(store.driver.claiming.release_worker("w1"))
        )
        with _transaction(store) as (fence, connection):
            _write(store, connection, written)
            done = move(claimed, State.COMPLETED)
            settled = fence.settle_in(connection, done) if settle_first else False
            releasing.start()
            releasing.join(0.2)
            if not settle_first:
                settled = fence.settle_in(connection, done)
            connection.commit() if settled else connection.rollback()
        releasing.join()
        assert released == [0 if settled else 1]
        assert store.is_known(written) == settled
        assert store.state(claimed) is (State.COMPLETED if settled else State.PENDING)
        store.driver.dispatching.clear("default")


def its_follow_ups_happen_with_it(store: Subject) -> None:
    for commit in (False, True):
        claimed = store.running()
        waiting, victim, extra = store.put(blockers=1), store.put(queue="other"), store.new()
        follow_ups = (Unblock(waiting.id), Cancel(victim.id, "no"), Dispatch(extra))
        with _transaction(store) as (fence, connection):
            done = move(claimed, State.COMPLETED, follow_ups=follow_ups)
            assert fence.settle_in(connection, done)
            connection.commit() if commit else connection.rollback()
        states = [store.state(waiting), store.state(victim)]
        assert store.is_known(extra) == commit
        if commit:
            assert states == [State.PENDING, State.CANCELLED]
            assert store.settle(done) == [Settled.DONE]
            assert {each.id for each in store.claim()} == {waiting.id, extra.id}
        else:
            assert states == [State.BLOCKED, State.PENDING]
            store.settle(move(claimed, State.COMPLETED))


def a_checkpoint_is_kept_with_what_was_written(store: Subject) -> None:
    claimed = store.running()
    for cursor in (b"1", b'{"page":2}'):
        written = store.new(queue="other")
        with _transaction(store) as (fence, connection):
            _write(store, connection, written)
            assert fence.checkpoint_in(connection, claimed.id, claimed.token, cursor)
            connection.commit()
        assert store.driver.inspection.cursor(claimed.id) == cursor
        assert store.is_known(written)
    assert store.state(claimed) is State.PROCESSING
    assert store.settle(move(claimed, State.COMPLETED)) == [Settled.DONE]


def a_checkpoint_rolled_back_leaves_the_one_before(store: Subject) -> None:
    claimed = store.running()
    for cursor, commit in ((b"1", False), (b"2", True), (b"3", False)):
        with _transaction(store) as (fence, connection):
            assert fence.checkpoint_in(connection, claimed.id, claimed.token, cursor)
            connection.commit() if commit else connection.rollback()
    assert store.driver.inspection.cursor(claimed.id) == b"2"


def the_next_attempt_finds_the_cursor(store: Subject) -> None:
    claimed = store.running()
    _checkpoint(store, claimed, b"1")
    store.settle(move(claimed, State.PENDING))
    again = store.claim_one()
    assert store.driver.inspection.cursor(again.id) == b"1"
    _checkpoint(store, again, b"2")
    store.settle(move(again, State.FAILED))
    store.driver.dispatching.retry([claimed.id])
    assert store.driver.inspection.cursor(claimed.id) == b"2"


def a_checkpoint_of_who_lost_the_claim_is_refused(store: Subject) -> None:
    lost, written = store.running(), store.new()
    _checkpoint(store, lost, b"1")
    store.driver.claiming.release_worker("w1")
    for successor in (None, "w2"):
        if successor is not None:
            store.claim_one(worker=successor)
        with _transaction(store) as (fence, connection):
            _write(store, connection, written)
            assert not fence.checkpoint_in(connection, lost.id, lost.token, b"2")
            connection.rollback()
    assert store.driver.inspection.cursor(lost.id) == b"1"
    assert not store.is_known(written)


def nobody_takes_the_claim_between_a_checkpoint_and_its_commit(store: Subject) -> None:
    claimed = store.running()
    released: list[int] = []
    releasing = threading.Thread(
        target=lambda: released.append(store.driver.claiming.release_worker("w1"))
    )
    with _transaction(store) as (fence, connection):
        assert fence.checkpoint_in(connection, claimed.id, claimed.token, b"1")
        releasing.start()
        releasing.join(0.2)
        assert not sum(released)
        connection.commit()
    releasing.join()
    if not sum(released):
        assert list(store.driver.claiming.holders()) == ["w1"]
        assert store.driver.claiming.release_worker("w1") == 1
    assert store.driver.inspection.cursor(claimed.id) == b"1"


@contextmanager
def _transaction(store: Subject) -> Iterator[tuple[Fencing, Connection]]:
    """What is not committed inside is rolled back."""
    fence = _fence(store)
    engine = fence.make_engine()
    try:
        with engine.connect() as connection, connection.begin():
            fence.begin_in(connection)
            yield fence, connection
    finally:
        engine.dispose()


def _fence(store: Subject) -> Fencing:
    assert isinstance(store.driver, Fencing)
    return store.driver


def _write(store: Subject, connection: Connection, written: NewJob) -> None:
    assert isinstance(store.driver, Transactional)
    store.driver.dispatch_in(connection, [written])


def _completed(store: Subject) -> ClaimedJob:
    """A job that has settled itself."""
    claimed = store.running()
    with _transaction(store) as (fence, connection):
        assert fence.settle_in(connection, move(claimed, State.COMPLETED))
        connection.commit()
    return claimed


def _checkpoint(store: Subject, claimed: ClaimedJob, cursor: bytes) -> None:
    with _transaction(store) as (fence, connection):
        assert fence.checkpoint_in(connection, claimed.id, claimed.token, cursor)
        connection.commit()


def _refused(store: Subject, lost: ClaimedJob, written: NewJob) -> None:
    with _transaction(store) as (fence, connection):
        _write(store, connection, written)
        assert not fence.settle_in(connection, move(lost, State.COMPLETED, result=b"late"))
        connection.rollback()
    assert not store.is_known(written)
