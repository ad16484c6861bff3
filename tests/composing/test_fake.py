"""What the fake queue knows of chains and batches: each assertion holds once and fails once, and
says what there was instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import Tabur
from tabur.testing import FakeQueue

jobs = Tabur(connection="memory")


@jobs.job()
def extract(day: int) -> None: ...


@jobs.job()
def load(day: int) -> None: ...


@jobs.job()
def report() -> None: ...


@pytest.fixture
def queue() -> Iterator[FakeQueue]:
    with jobs.fake() as fake:
        yield fake


def fails(said: str, assertion: Callable[[], None]) -> None:
    with pytest.raises(AssertionError, match=re.escape(said)):
        assertion()


def test_chained(queue: FakeQueue) -> None:
    fails("extract, load was not chained. Chained: nothing.", lambda: chained(queue))
    jobs.chain(extract(day=1), load(day=1)).catch(report()).dispatch()
    chained(queue)
    queue.assert_chained([extract(day=1), load])
    queue.assert_pushed_with_chain(extract, [load])
    fails(
        "extract(day=2), load was not chained. Chained: extract(day=1) → load(day=1).",
        lambda: queue.assert_chained([extract(day=2), load]),
    )
    fails("extract was not chained.", lambda: queue.assert_chained([extract]))
    fails("load, extract was not", lambda: queue.assert_pushed_with_chain(load, [extract]))


def chained(queue: FakeQueue) -> None:
    queue.assert_chained([extract, load])


def test_without_a_chain(queue: FakeQueue) -> None:
    extract.dispatch(day=1)
    queue.assert_pushed_without_chain(extract)
    jobs.chain(extract(day=2), load(day=2)).dispatch()
    queue.assert_pushed_without_chain(load)
    queue.assert_pushed_without_chain(extract)
    queue.assert_pushed_without_chain(extract(day=1))
    fails(
        "extract(day=2) was pushed with a chain. Chained: extract(day=2) → load(day=2).",
        lambda: queue.assert_pushed_without_chain(extract(day=2)),
    )
    fails("report was not pushed.", lambda: queue.assert_pushed_without_chain(report))


def test_batched(queue: FakeQueue) -> None:
    queue.assert_nothing_batched()
    batch = jobs.batch([extract(day=n) for n in range(2)], name="Days")
    batch.then(report()).dispatch()
    queue.assert_batched(lambda batch: batch.name == "Days" and len(batch.members) == 2)
    queue.assert_batched([extract(day=0), extract])
    queue.assert_batch_count(1)
    there = "Batched: Days of extract(day=0), extract(day=1)."
    fails(
        f"A batch of which the predicate holds was not dispatched. {there}",
        lambda: queue.assert_batched(lambda batch: batch.name == "Nights"),
    )
    fails(f"A batch of load was not dispatched. {there}", lambda: queue.assert_batched([load]))
    fails(f"1 batches were dispatched, not 2. {there}", lambda: queue.assert_batch_count(2))
    fails(f"A batch was dispatched. {there}", queue.assert_nothing_batched)


def test_members_are_pushed_and_callbacks_are_not(queue: FakeQueue) -> None:
    jobs.batch([extract(day=1), jobs.chain(load(day=1), load(day=2))]).catch(report()).dispatch()
    queue.assert_pushed(load, times=2)
    queue.assert_pushed(extract, times=1)
    queue.assert_not_pushed(report)
    fails("extract(day=1), (load(day=1) → load(day=2))", queue.assert_nothing_batched)


def test_a_workflow_and_what_is_added_are_pushed(queue: FakeQueue) -> None:
    jobs.workflow("nightly").add("a", extract(day=1)).add("b", load(day=1), after="a").dispatch()
    queue.assert_pushed(load)
    queue.assert_nothing_batched()
    handle = jobs.batch([extract(day=2)]).dispatch()
    handle.add([report()])
    queue.assert_pushed(report)
    assert handle.status().total == 2


@pytest.mark.parametrize("after_commit", [True, False])
def test_what_is_rolled_back_was_not_dispatched(queue: FakeQueue, after_commit: bool) -> None:
    with Session(create_engine("sqlite://")) as session:
        chain = jobs.chain(extract(day=1), load(day=1))
        batch = jobs.batch([extract(day=1)])
        for each in (chain, batch):
            each.options(session=session, after_commit=after_commit).dispatch()
        session.rollback()
    queue.assert_nothing_batched()
    queue.assert_nothing_pushed()
    fails("Chained: nothing.", lambda: chained(queue))
    with Session(create_engine("sqlite://")) as session, session.begin():
        chain.options(session=session, after_commit=after_commit).dispatch()
    chained(queue)
