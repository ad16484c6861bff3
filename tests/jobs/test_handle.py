"""Handles: what a dispatched job answers to who asks about it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from tabur import (
    JobCancelled,
    JobContext,
    JobFailed,
    JobHandle,
    JobNotFinished,
    JobNotFound,
    Progress,
    State,
    Tabur,
)


class Totals(msgspec.Struct, frozen=True):
    rows: int
    sum: Decimal


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="sync")


def _total(rows: int) -> Totals:
    return Totals(rows, Decimal("2.50") * rows)


def _broken() -> None:
    raise ValueError("no such list")


UNKNOWN = "01a20482-b4b6-7ac7-a708-cc48ba874771"


def test_a_result_has_the_type_the_job_declares(jobs: Tabur) -> None:
    handle = jobs.job()(_total).dispatch(rows=4)
    assert handle.result() == Totals(4, Decimal("10.00"))
    assert handle.status().result == {"rows": 4, "sum": "10.00"}


def test_a_handle_from_an_id_knows_no_type(jobs: Tabur) -> None:
    handle = jobs.job()(_total).dispatch(rows=4)
    again = jobs.handle(handle.id)
    assert again.result() == {"rows": 4, "sum": "10.00"}
    assert jobs.handle(UUID(handle.id)).id == handle.id
    assert repr(again) == f"<JobHandle {handle.id}>"


def test_a_result_that_does_not_fit_its_type_comes_as_json(jobs: Tabur) -> None:
    @jobs.job()
    def liar() -> int:
        return "seven"  # type: ignore[return-value]  # the point

    handle: JobHandle[object] = liar.dispatch()
    assert handle.result() == "seven"


def test_no_result_is_none(jobs: Tabur) -> None:
    @jobs.job()
    def silent() -> None: ...

    handle: JobHandle[object] = silent.dispatch()
    assert handle.result() is None
    assert handle.status().result is None


def test_the_status_of_a_finished_job(jobs: Tabur) -> None:
    before = datetime.now(UTC)

    @jobs.job(queue="imports")
    def work(ctx: JobContext) -> str:
        ctx.progress(3, 4, message="Reading", unit="rows")
        ctx.warn("row 4 has no price")
        ctx.attach(b"4;no price", name="../rejected.csv", media_type="text/csv")
        return "done"

    status = work.dispatch().status()
    assert (status.name, status.queue, status.state) == ("work", "imports", State.COMPLETED)
    assert status.finished
    assert not status.cancelling
    assert status.attempt == 1
    assert status.progress == Progress(3, 4, "rows", "Reading", 1)
    assert status.result == "done"
    assert status.error is None
    assert status.started_at is not None
    assert status.finished_at is not None
    assert before <= status.created_at <= status.started_at <= status.finished_at
    (attached,) = status.attachments
    assert (attached.n, attached.name, attached.size) == (1, "rejected.csv", 10)
    assert jobs.attachment_path(attached.path).read_bytes() == b"4;no price"


@pytest.fixture(autouse=True)
def _in_an_own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: object) -> None:
    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


def test_the_status_of_a_job_that_waits() -> None:
    jobs = Tabur(connection="memory")
    at = datetime.now(UTC) + timedelta(hours=1)
    status = jobs.job()(_total).options(at=at).dispatch(rows=1).status()
    assert (status.state, status.attempt, status.finished) == (State.SCHEDULED, 0, False)
    assert (status.due_at, status.started_at, status.finished_at) == (at, None, None)
    assert status.progress.percent is None


def test_a_failed_job_says_why(jobs: Tabur) -> None:
    handle = jobs.job()(_broken).dispatch()
    with pytest.raises(JobFailed, match="failed with ValueError: no such list") as failed:
        handle.result()
    assert (failed.value.job_id, failed.value.error_type) == (handle.id, "ValueError")
    assert failed.value.message == "no such list"
    error = handle.status().error
    assert error is not None
    assert 'raise ValueError("no such list")' in error.traceback
    with pytest.raises(JobFailed):
        handle.wait()


def test_too_early() -> None:
    jobs = Tabur(connection="memory")
    handle = jobs.job()(_total).options(delay=60).dispatch(rows=1)
    with pytest.raises(JobNotFinished, match=r"is scheduled; wait for it with handle\.wait") as e:
        handle.result()
    assert e.value.state == "scheduled"


def test_wait_gives_up_after_its_time() -> None:
    jobs = Tabur(connection="memory")
    handle = jobs.job()(_total).options(delay=60).dispatch(rows=1)
    with pytest.raises(TimeoutError, match=r"is still scheduled after 0\.01 s"):
        handle.wait(timeout=0.01)
    with pytest.raises(TimeoutError):
        handle.wait(timeout=0)


def test_wait_sees_the_end() -> None:
    jobs = Tabur(connection="memory")
    handle = jobs.job()(_total).dispatch(rows=1)
    waited: list[BaseException] = []

    def wait() -> None:
        try:
            handle.wait(timeout=30)
        except JobCancelled as error:
            waited.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert handle.cancel()
    thread.join(30)
    assert [str(error) for error in waited] == [f"Job {handle.id} was cancelled."]


def test_wait_async_leaves_the_loop_free(jobs: Tabur) -> None:
    total = jobs.job()(_total)

    async def request() -> Totals:
        handle = await total.dispatch_async(rows=2)
        return await handle.wait_async(timeout=5)

    assert asyncio.run(request()).rows == 2


def test_cancel_and_retry() -> None:
    jobs = Tabur(connection="memory")
    handle = jobs.job()(_total).options(delay=60).dispatch(rows=1)
    assert not handle.retry()
    assert handle.cancel()
    assert handle.status().state is State.CANCELLED
    with pytest.raises(JobCancelled, match="was cancelled"):
        handle.result()
    assert not handle.cancel()
    assert handle.retry()
    assert handle.status().state is State.PENDING


def test_a_failed_job_starts_afresh_when_retried(jobs: Tabur) -> None:
    attempts: list[int] = []

    @jobs.job(tries=2)
    def second_time_lucky(ctx: JobContext) -> str:
        attempts.append(ctx.attempt)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return "lucky"

    @jobs.job()
    def nothing() -> None: ...

    handle = second_time_lucky.dispatch()
    assert handle.status().state is State.FAILED
    assert handle.retry()
    nothing.dispatch()  # the sync connection runs what waits at the next dispatch
    assert handle.result() == "lucky"
    assert attempts == [1, 2, 1]


def test_unknown_ids(jobs: Tabur) -> None:
    for ask in (JobHandle.status, JobHandle.progress, JobHandle.result, JobHandle.cancel):
        with pytest.raises(JobNotFound, match=UNKNOWN):
            ask(jobs.handle(UNKNOWN))
    assert not jobs.handle(UNKNOWN).retry()
    with pytest.raises(JobNotFound, match="No job with id seven"):
        jobs.handle("seven")
