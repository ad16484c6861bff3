"""A commit whose answer is lost: the job is completed once if it has happened, else tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from tabur import Job, JobContext, State
from tabur.errors import StoreUnavailable
from tabur.jobs import transaction
from tests.dispatch.shops import ORDER
from tests.transactions.bench import Bench


@contextmanager
def lost(bench: Bench, *, committed: bool, answers: int = 1) -> Iterator[None]:
    """The next commits of jobs' sessions bring no answer, and their connections are dead."""
    engine, left = bench.callers_engine, answers
    client = engine.dialect.loaded_dbapi

    def commit(raw: Any) -> None:
        nonlocal left
        if left and committed:
            answered(raw)
        if left:
            left -= 1
            raw.close()
            raise client.OperationalError("the connection was lost during the commit")
        answered(raw)

    answered = engine.dialect.do_commit
    engine.dialect.do_commit = commit  # type: ignore[assignment,method-assign]  # the point
    try:
        yield
    finally:
        engine.dialect.do_commit = answered  # type: ignore[method-assign]  # as it was


def test_what_was_committed_is_completed_and_the_job_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    went_on: list[int] = []
    handle = bench.orders_job(tries=3, after=lambda ctx: went_on.append(ctx.attempt)).dispatch()
    with lost(bench, committed=True):
        bench.work()
    assert handle.status().state is State.COMPLETED
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])
    assert went_on == [1]
    assert "its transaction has committed although this was raised" in caplog.text


def test_what_was_not_committed_is_tried_again(bench: Bench) -> None:
    went_on: list[int] = []
    handle = bench.orders_job(tries=3, after=lambda ctx: went_on.append(ctx.attempt)).dispatch()
    with lost(bench, committed=False):
        bench.work()
    assert handle.status().state is State.COMPLETED
    assert (bench.orders(), bench.attempts()) == (1, ["retried", "completed"])
    assert went_on == [2]


@pytest.mark.parametrize("committed", [True, False])
def test_where_the_store_cannot_be_asked_the_settle_finds_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    def away(*_: object) -> bool:
        raise StoreUnavailable("away")

    monkeypatch.setattr(transaction, "_ASK_AGAIN", (0, 0))
    monkeypatch.setattr(bench.jobs.driver, "is_settled", away)
    handle = bench.orders_job(tries=3).dispatch()
    with lost(bench, committed=committed):
        bench.work()
    assert handle.status().state is State.COMPLETED
    assert bench.orders() == 1
    assert bench.attempts() == (["completed"] if committed else ["retried", "completed"])


def test_failed_is_not_called_for_what_was_committed(bench: Bench) -> None:
    failed: list[str] = []

    @bench.jobs.register
    class Order(Job[None], never_retry=(Exception,)):
        def handle(self, ctx: JobContext) -> None:
            with ctx.transaction(bench.engine) as session:
                session.execute(ORDER)

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            failed.append(str(error))

    handle = Order().dispatch()
    bench.async_engine = None  # the session is on the other
    with lost(bench, committed=True):
        bench.work()
    assert (handle.status().state, bench.orders(), failed) == (State.COMPLETED, 1, [])


def test_a_checkpoint_without_an_answer_goes_on_from_what_is_there(bench: Bench) -> None:
    """Its commit is the caller's own: the next attempt reads what has become of it."""
    imports = bench.imports_job(chunks=3, tries=3)
    for committed in (True, False):
        handle = imports.dispatch()
        with lost(bench, committed=committed):
            bench.work()
        assert handle.status().state is State.COMPLETED
        assert bench.items() == ["tea 0", "tea 1", "tea 2"]
        assert bench.attempts() == ["retried", "completed"]
        bench.empty()


def test_what_ends_the_run_during_the_commit_undoes_nothing(bench: Bench) -> None:
    """A timeout that arrives just then: the run ends, and what was committed is completed."""

    class Over(BaseException):
        pass

    handle = bench.orders_job(tries=3).dispatch()
    answered = bench.callers_engine.dialect.do_commit

    def commit(raw: Any) -> None:
        answered(raw)
        raise Over

    bench.callers_engine.dialect.do_commit = commit  # type: ignore[assignment,method-assign]  # the point
    try:
        bench.work()
    finally:
        bench.callers_engine.dialect.do_commit = answered  # type: ignore[method-assign]  # as it was
    assert handle.status().state is State.COMPLETED
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])


def test_an_error_of_the_commit_itself_is_the_jobs(bench: Bench) -> None:
    """What the application hangs on the commit fails before it: nothing is written."""

    def refuse(connection: object) -> None:
        raise ValueError("the books are closed")

    event.listen(bench.callers_engine, "commit", refuse)
    handle = bench.orders_job().dispatch()
    bench.work()
    event.remove(bench.callers_engine, "commit", refuse)
    error = handle.status().error
    assert error is not None
    assert (error.message, bench.orders()) == ("the books are closed", 0)
