"""Time travel and `drain()`: what was pushed runs in the test, with its retries, at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tabur import Job, JobContext, State, Tabur
from tabur.testing import FakeQueue

jobs = Tabur(connection="memory")


@jobs.job(tries=3, backoff=[30, 60])
def flaky(ctx: JobContext, failures: int) -> int:
    if ctx.attempt <= failures:
        raise ValueError(f"attempt {ctx.attempt}")
    return ctx.attempt


@jobs.job()
async def pair(n: int) -> int:
    handle = await double.dispatch_async(n)
    return len(handle.id)


@jobs.job()
def double(n: int) -> int:
    return 2 * n


@jobs.job(tries=0)
def endless(ctx: JobContext) -> None:
    ctx.release(60)


@jobs.register
class Reported(Job[None]):
    note: str

    def handle(self, ctx: JobContext) -> None:
        raise ValueError(f"{self.note} of {ctx.tenant}")

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        double.options(tenant=ctx.tenant).dispatch(7)


@pytest.fixture
def queue() -> Iterator[FakeQueue]:
    with jobs.fake() as fake:
        yield fake


def test_an_empty_queue_is_drained_at_once(queue: FakeQueue) -> None:
    assert queue.drain() == 0


def test_what_was_pushed_runs_and_has_its_results(queue: FakeQueue) -> None:
    handles = [double.dispatch(n) for n in range(3)]
    assert queue.drain() == 3
    assert [each.result() for each in handles] == [0, 2, 4]
    queue.assert_pushed(double, times=3)


def test_what_a_job_dispatches_runs_too_and_was_pushed(queue: FakeQueue) -> None:
    pair.dispatch(4)
    assert queue.drain() == 2
    queue.assert_pushed(double, lambda job: job.args.n == 4)


def test_retries_come_at_their_times(queue: FakeQueue) -> None:
    handle = flaky.dispatch(2)
    assert queue.drain() == 3
    assert handle.result() == 3
    first, second, third = (handle_attempt for handle_attempt in _attempts(handle.id, queue))
    assert [first, second, third] == ["retried", "retried", "completed"]


def test_for_a_retry_the_clock_is_set_on(queue: FakeQueue) -> None:
    later = double.options(delay=80).dispatch(1)
    latest = double.options(delay=3600).dispatch(1)
    flaky.dispatch(2)
    queue.drain()
    assert later.status().state is State.COMPLETED  # 90 seconds have passed
    assert latest.status().state is State.SCHEDULED


def test_an_error_is_recorded_not_raised(queue: FakeQueue) -> None:
    handle = flaky.dispatch(3)
    assert queue.drain() == 3
    status = handle.status()
    assert status.state is State.FAILED
    assert status.error is not None
    assert status.error.message == "attempt 3"


def test_what_is_delayed_stays_until_its_time(queue: FakeQueue) -> None:
    handle = double.options(delay=timedelta(minutes=5)).dispatch(1)
    assert queue.drain() == 0
    queue.travel(timedelta(minutes=4, seconds=59))
    assert (queue.drain(), handle.status().state) == (0, State.SCHEDULED)
    queue.travel(1)
    assert handle.status().state is State.PENDING
    assert (queue.drain(), handle.result()) == (1, 2)


def test_what_has_expired_fails(queue: FakeQueue) -> None:
    handle = double.options(expires=60).dispatch(1)
    queue.travel(61)
    queue.drain()
    assert handle.status().state is State.FAILED


def test_failed_is_called_in_the_jobs_scope(queue: FakeQueue) -> None:
    with jobs.scope(tenant="acme"):
        Reported(note="that").dispatch()
    queue.drain()
    queue.assert_pushed(double, lambda job: job.settings.tenant == "acme")


def test_one_that_never_ends_is_told(queue: FakeQueue) -> None:
    endless.dispatch()
    with pytest.raises(
        AssertionError, match=r"^There were 21 runs, and there is no end of it\. Pu"
    ):
        queue.drain(limit=20)


def _attempts(job_id: str, queue: FakeQueue) -> Iterator[str]:
    from tabur.model.ids import id_bytes

    return (each.ending for each in jobs.driver.inspection.attempts(id_bytes(job_id)))
