"""Bound jobs in a transaction of the caller's: dispatched and settled with it or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from tabur.drivers.contract import Fencing, Transactional
from tabur.errors import ConfigError
from tabur.model.bonds import Conflict, Unique
from tabur.model.outcome import Settled
from tabur.model.states import State
from tabur.testing.conformance.subject import KEY, Subject, move

KEYED = Unique(KEY)


def a_batch_commits_with_its_jobs(store: Subject) -> None:
    waiting = store.new(queue="after", blockers=1)
    batch = store.new_batch(next=(waiting.id,))
    jobs = [store.bound(batch=batch.id) for _ in range(3)]
    with _transaction(store) as connection:
        assert dict(_transactional(store).dispatch_in(connection, [*jobs, waiting], [batch])) == {}
        connection.commit()
    assert store.counts(batch) == (3, 3, 0, 0)
    store.drain()
    assert store.batch(batch).is_complete
    assert store.state(waiting) is State.PENDING


def an_empty_batch_has_finished_as_it_commits(store: Subject) -> None:
    waiting = store.new(blockers=1)
    batch = store.new_batch(next=(waiting.id,))
    with _transaction(store) as connection:
        _transactional(store).dispatch_in(connection, [waiting], [batch])
        connection.commit()
    assert store.batch(batch).is_complete
    assert store.state(waiting) is State.PENDING


def what_is_rolled_back_leaves_no_batch_no_jobs_and_no_key(store: Subject) -> None:
    waiting = store.new(blockers=1)
    batch = store.new_batch(next=(waiting.id,))
    job = store.bound(batch=batch.id, unique=KEYED)
    with _transaction(store) as connection:
        _transactional(store).dispatch_in(connection, [job, waiting], [batch])
        connection.rollback()
    assert store.driver.batches.find(batch.id) is None
    assert not store.is_known(job)
    assert not store.is_known(waiting)
    other = store.bound(unique=KEYED)
    assert dict(store.driver.dispatching.dispatch([other])) == {}
    assert store.state(other) is State.PENDING


def jobs_of_a_batch_that_is_not_in_the_call_are_refused(store: Subject) -> None:
    batch, _ = store.put_batch(1)
    added, other = store.bound(batch=batch.id), store.new()
    with _transaction(store) as connection:
        with pytest.raises(ConfigError, match="batch"):
            _transactional(store).dispatch_in(connection, [other, added])
        connection.rollback()
    assert not store.is_known(added)
    assert not store.is_known(other)
    assert store.counts(batch) == (1, 1, 0, 0)


def a_key_that_is_held_keeps_a_job_out(store: Subject) -> None:
    holder = store.put_bound(unique=KEYED)
    skipped, other = store.bound(unique=KEYED), store.new()
    with _transaction(store) as connection:
        answer = _transactional(store).dispatch_in(connection, [skipped, other])
        assert dict(answer) == {skipped.id: holder.id}
        connection.commit()
    assert not store.is_known(skipped)
    assert store.is_known(other)


def what_replaces_another_does_so_as_it_commits(store: Subject) -> None:
    for commit in (False, True):
        holder = store.put_bound(unique=KEYED)
        heir = store.bound(unique=Unique(KEY, conflict=Conflict.REPLACE))
        with _transaction(store) as connection:
            _transactional(store).dispatch_in(connection, [heir])
            connection.commit() if commit else connection.rollback()
        assert store.state(holder) is (State.CANCELLED if commit else State.PENDING)
        assert store.is_known(heir) == commit
        assert store.drain() == [heir.id if commit else holder.id]


def a_job_that_settles_itself_is_counted_with_what_it_wrote(store: Subject) -> None:
    waiting = store.new(queue="after", blockers=2)
    batch = store.new_batch(next=(waiting.id,))
    job = store.bound(batch=batch.id, next=(waiting.id,), unique=KEYED)
    store.driver.dispatching.dispatch([job, waiting], [batch])
    done = move(store.claim_one(), State.COMPLETED)
    for commit in (False, True):
        with _transaction(store) as connection:
            assert _fencing(store).settle_in(connection, done)
            connection.commit() if commit else connection.rollback()
        assert store.counts(batch) == (1, 0 if commit else 1, 0, 0)
        assert store.state(waiting) is (State.PENDING if commit else State.BLOCKED)
        answer = store.driver.dispatching.dispatch([store.bound(unique=KEYED)])
        assert list(answer.values()) == ([] if commit else [job.id])
    assert store.settle(done) == [Settled.DONE]
    assert store.counts(batch) == (1, 0, 0, 0)


def who_lost_the_claim_counts_nothing(store: Subject) -> None:
    batch, _ = store.put_batch(1)
    lost = store.claim_one()
    store.driver.claiming.release_worker("w1")
    with _transaction(store) as connection:
        assert not _fencing(store).settle_in(connection, move(lost, State.COMPLETED))
        connection.rollback()
    assert store.settle(move(lost, State.COMPLETED)) == [Settled.STALE]
    assert store.counts(batch) == (1, 1, 0, 0)


@contextmanager
def _transaction(store: Subject) -> Iterator[Connection]:
    """What is not committed inside is rolled back."""
    engine = _fencing(store).make_engine()
    try:
        with engine.connect() as connection, connection.begin():
            _fencing(store).begin_in(connection)
            yield connection
    finally:
        engine.dispose()


def _fencing(store: Subject) -> Fencing:
    assert isinstance(store.driver, Fencing)
    return store.driver


def _transactional(store: Subject) -> Transactional:
    assert isinstance(store.driver, Transactional)
    return store.driver
