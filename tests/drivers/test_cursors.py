"""What a checkpoint left with a job is found on each engine, and leaves with the job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, func, insert, select

from tabur.drivers.contract import Filter
from tabur.drivers.database import schema
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.states import State
from tabur.testing.conformance import Subject


@pytest.fixture
def subject(url: str) -> Iterator[Subject]:
    subject = Subject(lambda clock: DatabaseDriver(url, clock=clock))
    yield subject
    subject.driver.close()


def leave(url: str, *job_ids: bytes) -> None:
    """As a checkpoint does, in a transaction of its job's own."""
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = [{"id": each, "cursor": b"\x00page 7"} for each in job_ids]
        connection.execute(insert(schema.cursors), rows)
    engine.dispose()


def left(url: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        counted = connection.execute(select(func.count()).select_from(schema.cursors)).scalar_one()
    engine.dispose()
    return counted


def test_it_is_found_and_kept_when_the_job_is_tried_again(url: str, subject: Subject) -> None:
    job = subject.finished(State.FAILED)
    leave(url, job.id)
    assert subject.driver.inspection.cursor(job.id) == b"\x00page 7"
    subject.driver.dispatching.retry([job.id])
    assert subject.driver.inspection.cursor(job.id) == b"\x00page 7"


def test_it_is_forgotten_with_the_job(url: str, subject: Subject) -> None:
    one, other = subject.finished(), subject.finished()
    leave(url, one.id, other.id)
    assert subject.driver.dispatching.forget_one(one.id)
    assert subject.driver.inspection.cursor(one.id) is None
    assert left(url) == 1
    assert subject.driver.dispatching.forget(Filter()) == 1
    assert left(url) == 0


def test_a_job_that_has_left_one_is_not_moved_to_another_store(url: str, subject: Subject) -> None:
    pending, begun = subject.put(), subject.put()
    later, begun_later = (subject.put(due_at=subject.clock.ahead(60)) for _ in range(2))
    leave(url, begun.id, begun_later.id)
    take_out = subject.driver.transfer.take_out
    assert [each.id for each in take_out(None, limit=9)] == [pending.id, later.id]
    assert take_out("default", limit=9) == []
    assert [each.id for each in subject.claim()] == [begun.id]
