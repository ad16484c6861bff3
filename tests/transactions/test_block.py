"""`ctx.transaction()`: the job's end and what it wrote are one commit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tabur import JobCancelled, JobContext, State, TaburError
from tabur.errors import ConfigError
from tabur.model.clock import now_us
from tabur.model.ids import id_bytes
from tests.dispatch.shops import ORDER
from tests.transactions.bench import Bench


def _raise(error: BaseException) -> Callable[..., NoReturn]:
    def raises(*_: object) -> NoReturn:
        raise error

    return raises


def test_the_job_is_completed_with_what_it_wrote(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        ctx.progress(3, 4, message="nearly")
        ctx.result = {"order": 7}
        assert bench.orders() == 0

    seen: list[Any] = []

    def after(ctx: JobContext) -> None:
        status = handle.status()
        seen.append((status.state, status.result, bench.orders()))

    handle = bench.orders_job(inside=inside, after=after).dispatch()
    began = now_us()
    bench.work("w7")
    assert seen == [(State.COMPLETED, {"order": 7}, 1)], "right after the block, not later"
    status = handle.status()
    assert (status.state, status.attempt, status.progress.message) == ("completed", 1, "nearly")
    (attempt,) = bench.jobs.driver.inspection.attempts(id_bytes(handle.id))
    assert (attempt.ending, attempt.worker) == ("completed", "w7")
    assert attempt.started_at is not None
    assert began <= attempt.started_at <= attempt.ended_at <= now_us()


def test_what_it_dispatches_commits_with_it(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        bench.confirm.options(session=session, queue="later").dispatch(order_id=1)

    bench.orders_job(inside=inside).dispatch()
    bench.work()
    assert (bench.orders(), bench.waiting()) == (1, 1)


@pytest.mark.parametrize(
    ("ends", "state", "ending"),
    [
        (_raise(ValueError("no")), State.FAILED, "failed"),
        (_raise(JobCancelled("x")), State.CANCELLED, "cancelled"),
        (lambda ctx, _: ctx.fail("no stock"), State.FAILED, "failed"),
        (lambda ctx, _: ctx.release(3600), State.SCHEDULED, "released"),
    ],
    ids=["raises", "called back", "fails", "releases"],
)
def test_what_ends_the_block_otherwise_rolls_back_and_goes_its_way(
    bench: Bench, ends: Callable[..., Any], state: State, ending: str
) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        bench.confirm.options(session=session).dispatch(order_id=1)
        ends(ctx, session)

    handle = bench.orders_job(inside=inside, tries=2, never_retry=(ValueError,)).dispatch()
    bench.work()
    assert (handle.status().state, bench.attempts()) == (state, [ending])
    assert bench.orders() == 0
    assert bench.waiting() == (1 if state is State.SCHEDULED else 0)


def test_a_retry_writes_once(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        if ctx.attempt < 3:
            raise ValueError(ctx.attempt)

    handle = bench.orders_job(inside=inside, tries=3).dispatch()
    bench.work()
    assert handle.status().state is State.COMPLETED
    assert (bench.orders(), bench.attempts()) == (1, ["retried", "retried", "completed"])


def test_what_cannot_be_flushed_rolls_back(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        session.execute(text("INSERT INTO nowhere VALUES (1)"))

    handle = bench.orders_job(inside=inside).dispatch()
    bench.work()
    assert (handle.status().state, bench.orders()) == (State.FAILED, 0)


def test_a_part_that_fails_may_be_left_out_by_a_savepoint(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            session.execute(ORDER)
            raise ZeroDivisionError
        with session.begin_nested():
            session.execute(ORDER)

    bench.orders_job(inside=inside).dispatch()
    bench.work()
    assert (bench.orders(), bench.attempts()) == (2, ["completed"])


def test_a_result_that_cannot_be_kept_rolls_back(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        ctx.result = object()

    handle = bench.orders_job(inside=inside).dispatch()
    bench.work()
    error = handle.status().error
    assert error is not None
    assert "ctx.result cannot be kept" in error.message
    assert "rolled back" in error.message
    assert bench.orders() == 0


# what follows the block


@pytest.mark.parametrize(
    "ends",
    [
        _raise(ValueError("too late")),
        lambda ctx: ctx.release(3600),
        lambda ctx: ctx.fail("too late"),
        _raise(JobCancelled("x")),
    ],
    ids=["raises", "releases", "fails", "is called back"],
)
def test_what_follows_undoes_nothing_and_is_told(
    bench: Bench, ends: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    handle = bench.orders_job(after=ends, tries=3).dispatch()
    bench.work()
    assert handle.status().state is State.COMPLETED
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])
    (told,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "completed in its own transaction; what followed raised" in told.getMessage()
    assert told.exc_info is not None


@pytest.mark.parametrize(("returned", "told"), [({"n": 1}, False), (None, False), ({"n": 2}, True)])
def test_the_result_is_set_inside(
    bench: Bench, returned: Any, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        ctx.result = {"n": 1}

    handle = bench.orders_job(inside=inside, after=lambda _: returned).dispatch()
    bench.work()
    assert handle.result() == {"n": 1}
    assert ["set ctx.result inside" in each.getMessage() for each in caplog.records] == [
        True
    ] * told


# mistakes


def _told_after(bench: Bench, caplog: pytest.LogCaptureFixture) -> str:
    (told,) = [each for each in caplog.records if each.exc_info]
    assert told.exc_info is not None
    return str(told.exc_info[1])


def test_a_second_one_is_refused(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.orders_job(after=lambda ctx: ctx.transaction().__enter__()).dispatch()
    bench.work()
    assert "ctx.checkpoint(session, cursor=…)" in _told_after(bench, caplog)
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])


def test_a_checkpoint_after_it_is_refused(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def after(ctx: JobContext) -> None:
        with Session(bench.engine) as session, session.begin():
            session.execute(ORDER)
            ctx.checkpoint(session, cursor=1)

    bench.orders_job(after=after).dispatch()
    bench.work()
    assert "the job is completed" in _told_after(bench, caplog)
    assert bench.orders() == 1


def test_what_comes_too_late_is_refused(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def after(ctx: JobContext) -> None:
        with pytest.raises(TaburError, match="Attach its files before the block"):
            ctx.attach(b"x", name="x")
        ctx.result = 1

    bench.orders_job(after=after).dispatch()
    bench.work()
    assert "Set it inside the block" in _told_after(bench, caplog)


INSIDE_OUT: dict[str, tuple[Callable[[JobContext, Session], object], str]] = {
    "another": (lambda ctx, _: ctx.transaction().__enter__(), "begin_nested"),
    "a checkpoint": (lambda ctx, session: ctx.checkpoint(session, cursor=1), "nothing to go on"),
    "a file": (lambda ctx, _: ctx.attach(b"x", name="x"), "Attach it before the block"),
    "a commit": (lambda _, session: session.commit(), "commits at its end"),
    "a rollback": (lambda _, session: session.rollback(), "rolled back or closed inside"),
    "an end": (lambda _, session: session.close(), "rolled back or closed inside"),
    "its own begin": (lambda _, session: session.begin(), "already begun"),
}


@pytest.mark.parametrize("mistake", INSIDE_OUT)
def test_a_mistake_inside_fails_the_job_and_writes_nothing(bench: Bench, mistake: str) -> None:
    make, told = INSIDE_OUT[mistake]
    handle = bench.orders_job(inside=make).dispatch()
    bench.work()
    error = handle.status().error
    assert error is not None
    assert told in error.message
    assert (bench.orders(), bench.attempts()) == (0, ["failed"])


def test_nothing_is_written_after_a_rollback_inside(bench: Bench) -> None:
    """Else the second half would be committed, and the first would be missing."""

    def inside(ctx: JobContext, session: Session) -> None:
        session.rollback()
        session.execute(ORDER)

    handle = bench.orders_job(inside=inside).dispatch()
    bench.work()
    assert (handle.status().state, bench.orders()) == (State.FAILED, 0)


def test_after_a_block_that_failed_another_may_be_tried(bench: Bench) -> None:
    failed: list[str] = []

    def before(ctx: JobContext) -> None:
        if bench.is_async:
            return
        with pytest.raises(ZeroDivisionError), ctx.transaction() as session:
            session.execute(ORDER)
            raise ZeroDivisionError
        failed.append(str(handle.status().state))

    handle = bench.orders_job(before=before).dispatch()
    bench.work()
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])
    assert failed == ([] if bench.is_async else ["processing"])


def test_another_database_is_refused_before_anything_is_done(bench: Bench) -> None:
    other = Bench(bench.another_database(), None, None)
    began: list[int] = []

    @bench.jobs.job()
    def elsewhere(ctx: JobContext) -> None:
        with ctx.transaction(other.engine):
            began.append(1)

    handle = elsewhere.dispatch()
    bench.work()
    other.close()
    error = handle.status().error
    assert error is not None
    assert (error.type, began) == ("ConfigError", [])
    assert "cannot span both" in error.message


def test_the_wrong_colour_is_refused(bench: Bench) -> None:
    @bench.jobs.job()
    def wrong(ctx: JobContext) -> None:
        if bench.async_engine is not None:
            with pytest.raises(ConfigError, match="async with"):
                ctx.transaction(bench.async_engine).__enter__()  # type: ignore[attr-defined]  # the point
        with pytest.raises(ConfigError, match="sessionmaker"):
            ctx.transaction("shop").__enter__()  # type: ignore[call-overload]  # the point

    handle = wrong.dispatch()
    bench.work()
    assert handle.status().state is State.COMPLETED


def test_failed_cannot_complete_the_job(bench: Bench) -> None:
    from tabur import Job

    told: list[str] = []

    @bench.jobs.register
    class Order(Job[None]):
        def handle(self, ctx: JobContext) -> None:
            raise ValueError("no")

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            with pytest.raises(TaburError) as refused, ctx.transaction():
                pass
            told.append(str(refused.value))

    handle = Order().dispatch()
    bench.work()
    assert handle.status().state is State.FAILED
    assert told[0].startswith("ctx.transaction() in failed(): the job has failed")


def test_many_at_once(bench: Bench) -> None:
    """No deadlock: not even under MySQL's REPEATABLE READ, where gaps are locked."""
    ends = threading.Barrier(4) if not bench.url.startswith("sqlite") else None

    def inside(ctx: JobContext, session: Session) -> None:
        ctx.progress(1, 1)
        if ends is not None and not bench.is_async:
            ends.wait(40)

    job = bench.orders_job(inside=inside)
    bench.jobs.dispatch_many(job() for _ in range(40))
    bench.work()
    assert (bench.orders(), bench.attempts()) == (40, ["completed"] * 40)
