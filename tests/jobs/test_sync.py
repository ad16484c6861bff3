"""The `sync` connection: a job runs where it is dispatched, on the path it takes in a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import (
    ConfigError,
    Job,
    JobCancelled,
    JobContext,
    JobFailed,
    State,
    Tabur,
    TaburError,
    exponential,
)
from tabur.drivers.contract import Filter


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="sync")


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL):
        yield


def test_it_has_run_when_dispatch_returns(jobs: Tabur) -> None:
    @jobs.job()
    def double(n: int) -> int:
        return 2 * n

    assert double.dispatch(n=4).result() == 8
    assert [each.result() for each in jobs.dispatch_many(double(n=n) for n in range(3))] == [
        0,
        2,
        4,
    ]


def test_errors_are_recorded_not_raised(jobs: Tabur) -> None:
    @jobs.job()
    def broken() -> None:
        raise ValueError("no such list")

    with pytest.raises(JobFailed, match="no such list"):
        broken.dispatch().result()


def test_a_job_may_dispatch_another(jobs: Tabur) -> None:
    order: list[str] = []

    @jobs.job()
    def child(n: int) -> int:
        order.append(f"child {n}")
        return n

    @jobs.job()
    def parent() -> int:
        order.append("parent starts")
        total = sum(child.dispatch(n=n).result() for n in (1, 2))
        order.append("parent ends")
        return total

    assert parent.dispatch().result() == 3
    assert order == ["parent starts", "child 1", "child 2", "parent ends"]


def test_retries_do_not_wait(jobs: Tabur) -> None:
    attempts: list[int] = []

    @jobs.job(tries=3, backoff=exponential(3600))
    def third_time_lucky(ctx: JobContext) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError("not yet")
        return "lucky"

    assert third_time_lucky.dispatch().result() == "lucky"
    assert attempts == [1, 2, 3]


def test_what_is_never_retried(jobs: Tabur) -> None:
    attempts: list[int] = []

    @jobs.job(tries=3, never_retry=(KeyError,))
    def wrong(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        raise KeyError("price")

    class NoSuchShop(TaburError):
        permanent = True

    @jobs.job(tries=3)
    def hopeless(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        raise NoSuchShop("acme")

    assert wrong.dispatch().status().state is State.FAILED
    assert hopeless.dispatch().status().state is State.FAILED
    assert attempts == [1, 1]


def test_exceptions_count_and_releases_do_not_under_max_exceptions(jobs: Tabur) -> None:
    attempts: list[int] = []

    @jobs.job(tries=10, max_exceptions=2)
    def flaky(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt in (1, 3):
            ctx.release(60)
        raise ValueError("not yet")

    assert flaky.dispatch().status().state is State.FAILED
    assert attempts == [1, 2, 3, 4]


def test_a_release_uses_up_an_attempt(jobs: Tabur) -> None:
    @jobs.job(tries=2)
    def later(ctx: JobContext) -> None:
        ctx.release()

    error = later.dispatch().status().error
    assert error is not None
    assert error.type == "TooManyAttempts"
    assert error.message == "It released itself 2 times, and tries are used up."


def test_until_a_moment_attempts_are_not_counted(jobs: Tabur) -> None:
    @jobs.job(tries=1, retry_until=timedelta(hours=1))
    def patient(ctx: JobContext) -> int:
        if ctx.attempt < 5:
            ctx.release()
        return ctx.attempt

    assert patient.dispatch().result() == 5
    strict = patient.options(retry_until=0).dispatch()
    assert strict.status().state is State.FAILED


def test_expired_jobs_never_start(jobs: Tabur) -> None:
    ran: list[int] = []
    told: list[str] = []

    @jobs.register
    class Offer(Job[None], expires=0):
        def handle(self, ctx: JobContext) -> None:
            ran.append(ctx.attempt)

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            told.append(str(error))

    error = Offer().dispatch().status().error
    assert error is not None
    assert (error.type, ran) == ("JobExpired", [])
    assert told == ["Its time was over before a worker was free."]


def test_fail_is_for_good(jobs: Tabur) -> None:
    @jobs.job(tries=5)
    def picky(ctx: JobContext) -> None:
        ctx.fail("The list has no rows.")

    status = picky.dispatch().status()
    assert (status.state, status.attempt) == (State.FAILED, 1)
    assert status.error is not None
    assert (status.error.type, status.error.message) == ("tabur.GaveUp", "The list has no rows.")


def test_a_job_that_calls_itself_back_is_cancelled(jobs: Tabur) -> None:
    @jobs.job(tries=5)
    def gone(ctx: JobContext) -> None:
        raise JobCancelled(ctx.job_id)

    assert gone.dispatch().status().state is State.CANCELLED


def test_failed_is_called_once_at_the_end(jobs: Tabur) -> None:
    told: list[tuple[str, int, str]] = []

    @jobs.register
    class Sync(Job[None], tries=3):
        table: str

        def handle(self, ctx: JobContext) -> None:
            raise ValueError(f"attempt {ctx.attempt}")

        async def failed(self, ctx: JobContext, error: BaseException) -> None:
            told.append((self.table, ctx.attempt, str(error)))

    assert Sync(table="products").dispatch().status().state is State.FAILED
    assert told == [("products", 3, "attempt 3")]


def test_what_goes_wrong_in_failed_changes_nothing(jobs: Tabur) -> None:
    @jobs.register
    class Sync(Job[None]):
        def handle(self, ctx: JobContext) -> None:
            raise ValueError("the reason")

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            raise KeyError("another")

    with pytest.raises(JobFailed, match="the reason"):
        Sync().dispatch().result()


def test_async_jobs_run_without_and_inside_a_loop(jobs: Tabur) -> None:
    @jobs.job()
    async def double(ctx: JobContext, n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n if ctx.tenant == "acme" else 0

    async def request() -> tuple[int, int]:
        inside = double.dispatch(n=3)  # blocks the loop, but works: the point of `sync`
        outside = await double.dispatch_async(n=4)
        return inside.result(), outside.result()

    with jobs.scope(tenant="acme"):
        assert double.dispatch(n=2).result() == 4
        assert asyncio.run(request()) == (6, 8)


def test_an_async_job_that_fails_inside_a_loop(jobs: Tabur) -> None:
    @jobs.job(tries=2)
    async def broken(ctx: JobContext) -> None:
        raise ValueError(f"attempt {ctx.attempt}")

    async def request() -> None:
        broken.dispatch().result()

    with pytest.raises(JobFailed, match="attempt 2"):
        asyncio.run(request())


def test_no_delay_is_waited_for(jobs: Tabur) -> None:
    @jobs.job()
    def work() -> str:
        return "done"

    assert work.options(delay=60).dispatch().result() == "done"


def test_ctrl_c_inside_a_job_comes_out_and_the_job_has_failed(jobs: Tabur) -> None:
    @jobs.job()
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.dispatch()
    (record,) = jobs.driver.inspection.list(Filter(), limit=5)
    assert record.state is State.FAILED


def test_a_result_that_cannot_be_kept_fails_the_job_once(jobs: Tabur) -> None:
    attempts: list[int] = []

    @jobs.job(tries=3)
    def odd(ctx: JobContext) -> object:
        attempts.append(ctx.attempt)
        return object()

    with pytest.raises(JobFailed, match="The job did its work, but its result cannot be kept"):
        odd.dispatch().result()
    assert attempts == [1]


def test_too_large_a_result_fails_the_job(jobs: Tabur) -> None:
    @jobs.job()
    def talkative() -> str:
        return "x" * 70_000

    with pytest.raises(JobFailed, match=r"65,536 are allowed\. Return a summary"):
        talkative.dispatch().result()


def test_an_idempotency_key_runs_once(jobs: Tabur) -> None:
    ran: list[int] = []

    @jobs.job()
    def charge(order_id: int) -> None:
        ran.append(order_id)

    once = charge.options(idempotency_key="order-7")
    assert once.dispatch(order_id=7).id == once.dispatch(order_id=7).id
    assert ran == [7]


def test_a_callers_transaction_is_refused_but_its_commit_is_not(jobs: Tabur) -> None:
    @jobs.job()
    def work() -> str:
        return "done"

    engine = create_engine("sqlite://")
    with Session(engine) as session, session.begin():
        with pytest.raises(ConfigError, match="session= needs QUEUE_CONNECTION=database, not sync"):
            work.options(session=session).dispatch()
        handle = work.options(session=session, after_commit=True).dispatch()
    assert handle.result() == "done"
    engine.dispose()
