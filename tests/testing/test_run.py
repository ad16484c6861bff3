"""`run`: one run of one job, judged by its own rules; each assertion passes, and fails usefully."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from tabur import Job, JobContext, Progress, Tabur, exponential
from tabur.drivers.contract import Filter
from tabur.testing import FakeAttachment, run

jobs = Tabur(connection="memory")

How = Literal["return", "raise", "release", "fail", "check", "never"]


@jobs.job(tries=3, backoff=[30, 60], never_retry=(KeyError,))
def end(ctx: JobContext, how: How = "return") -> int:
    match how:
        case "raise":
            raise ValueError("nil")
        case "never":
            raise KeyError("gone")
        case "release":
            ctx.release(timedelta(minutes=1))
        case "fail":
            ctx.fail("The list has no rows.")
        case "check":
            ctx.check_cancelled()
    return 7


def fails(check: Callable[[], object], message: str) -> None:
    with pytest.raises(AssertionError) as failure:
        check()
    assert str(failure.value) == message


def test_completed() -> None:
    done = run(end())
    done.assert_completed()
    assert (done.result, done.error) == (7, None)
    message = (
        "end(how='raise') did not complete. It raised ValueError: nil, and runs again in 30 s."
    )
    fails(run(end("raise")).assert_completed, message)
    fails(lambda: run(end("raise")).result, message)


def test_released() -> None:
    done = run(end("release"))
    done.assert_released()
    done.assert_released(delay=60)
    done.assert_released(delay=timedelta(minutes=1))
    fails(
        lambda: done.assert_released(delay=5),
        "end(how='release') does not run again in 5 s. It was released, and runs again in 60 s.",
    )
    fails(run(end()).assert_released, "end(how='return') was not released. It completed.")


def test_not_released() -> None:
    run(end()).assert_not_released()
    fails(
        run(end("release")).assert_not_released,
        "end(how='release') was released. It was released, and runs again in 60 s.",
    )


def test_a_release_with_no_attempt_left_fails() -> None:
    done = run(end("release"), attempt=3)
    done.assert_failed_with(
        "It released itself 3 times, and tries are used up.",
    )
    fails(
        done.assert_released,
        "end(how='release') was not released. It failed with TooManyAttempts: It released itself "
        "3 times, and tries are used up.",
    )


def test_a_release_while_its_worker_stops_costs_nothing() -> None:
    run(end("release"), attempt=3, stopping=True).assert_released(delay=60)


def test_retried() -> None:
    run(end("raise")).assert_retried(delay=30)
    run(end("raise"), attempt=2).assert_retried(delay=60)
    fails(run(end()).assert_retried, "end(how='return') is not to be tried again. It completed.")
    fails(
        lambda: run(end("raise")).assert_retried(delay=31),
        "end(how='raise') does not run again in 31 s. It raised ValueError: nil, and runs again in "
        "30 s.",
    )


def test_of_a_random_back_off_it_is_the_longest() -> None:
    job = jobs.job(name="random", tries=5, backoff=exponential(30))(_raise)
    run(job(), attempt=3).assert_retried(delay=120)


def test_options_of_the_dispatch_count() -> None:
    run(end("raise").options(tries=1)).assert_failed()
    run(end("raise").options(backoff=5)).assert_retried(delay=5)


def test_failed() -> None:
    for done in (run(end("raise"), attempt=3), run(end("fail")), run(end("never"))):
        done.assert_failed()
    fails(
        run(end("raise")).assert_failed,
        "end(how='raise') did not fail. It raised ValueError: nil, and runs again in 30 s.",
    )


def test_failed_with() -> None:
    done = run(end("raise"), attempt=3)
    done.assert_failed_with(ValueError)
    done.assert_failed_with("nil")
    run(end("fail")).assert_failed_with("The list has no rows.")
    fails(
        lambda: done.assert_failed_with(KeyError),
        "end(how='raise') did not fail with KeyError. It failed with ValueError: nil.",
    )
    fails(
        lambda: done.assert_failed_with("zero"),
        "end(how='raise') did not fail with 'zero'. It failed with ValueError: nil.",
    )
    fails(
        lambda: run(end()).assert_failed_with(KeyError),
        "end(how='return') did not fail. It completed.",
    )


def test_not_failed() -> None:
    run(end("raise")).assert_not_failed()
    fails(
        run(end("fail")).assert_not_failed,
        "end(how='fail') failed. It failed with tabur.GaveUp: The list has no rows.",
    )


def test_cancelled() -> None:
    run(end("check"), cancelled=True).assert_cancelled()
    run(end("raise"), cancelled=True).assert_cancelled()  # what is called back is not tried again
    run(end(), cancelled=True).assert_completed()
    fails(run(end("check")).assert_cancelled, "end(how='check') was not cancelled. It completed.")


def test_not_cancelled() -> None:
    run(end("check")).assert_not_cancelled()
    fails(
        run(end("check"), cancelled=True).assert_not_cancelled,
        "end(how='check') was cancelled. It was cancelled (JobCancelled: Called back while it "
        "ran).",
    )


def test_the_error_is_the_cause_of_the_failure() -> None:
    with pytest.raises(AssertionError) as failure:
        run(end("raise")).assert_completed()
    assert isinstance(failure.value.__cause__, ValueError)


def test_what_it_told(tmp_path: Path) -> None:
    @jobs.job()
    def tell(ctx: JobContext) -> None:
        for _ in ctx.track("ab", unit="rows"):
            ctx.warn("odd")
        ctx.attach(b"a,b", name="odd.csv", media_type="text/csv")
        ctx.attach(tmp_path / "note.txt")

    (tmp_path / "note.txt").write_text("whole")
    done = run(tell())
    assert done.progress[0] == Progress(0, 2, "rows")
    assert done.progress[-1] == Progress(2, 2, "rows", warnings=2)
    assert done.warnings == 2
    assert done.attachments == [
        FakeAttachment("odd.csv", "text/csv", b"a,b"),
        FakeAttachment("note.txt", "application/octet-stream", b"whole"),
    ]
    assert (run(end()).progress, run(end()).warnings) == ([], 0)


def test_what_it_is_told() -> None:
    @jobs.job()
    def look(ctx: JobContext) -> list[Any]:
        return [ctx.attempt, ctx.tenant, ctx.locale, ctx.stopping, ctx.cancelled, ctx.cursor]

    job = look().options(tenant="acme", locale="ar")
    assert run(job).result == [1, "acme", "ar", False, False, None]
    done = run(job, attempt=2, stopping=True, cancelled=True, cursor={"page": 7})
    assert done.result == [2, "acme", "ar", True, True, {"page": 7}]
    with jobs.scope(tenant="other"):
        assert run(look()).result[1] == "other"


def test_an_async_job_and_a_class() -> None:
    told: list[str] = []

    @jobs.register
    class Sync(Job[dict[str, int]], tries=2):
        rows: int

        async def handle(self, ctx: JobContext) -> dict[str, int]:
            if not self.rows:
                raise ValueError("no rows")
            return {"rows": self.rows}

        async def failed(self, ctx: JobContext, error: BaseException) -> None:
            told.append(f"{ctx.attempt}: {error}")

    assert run(Sync(rows=3)).result == {"rows": 3}
    run(Sync(rows=0)).assert_retried()
    assert told == []
    run(Sync(rows=0), attempt=2).assert_failed_with(ValueError)
    assert told == ["2: no rows"]


def test_what_it_dispatches_belongs_to_the_same() -> None:
    @jobs.job()
    def both() -> None:
        end.dispatch()

    with jobs.fake() as queue:
        run(both().options(tenant="acme"))
        queue.assert_pushed(end, times=1)
        (record,) = jobs.driver.inspection.list(Filter(), limit=9)
        assert record.tenant == "acme"


def test_its_transaction_is_committed() -> None:
    sessions = sessionmaker(create_engine("sqlite://"))

    @jobs.job()
    def settle(ctx: JobContext) -> None:
        with ctx.transaction(sessions) as session:
            ctx.result = session.is_active

    done = run(settle())
    done.assert_completed()
    assert done.result is True


def test_a_checkpoint_is_what_the_next_attempt_finds() -> None:
    sessions = sessionmaker(create_engine("sqlite://"))

    @jobs.job(tries=2)
    def load(ctx: JobContext) -> int:
        with sessions() as session, session.begin():
            ctx.checkpoint(session, cursor=(ctx.cursor or 0) + 1)
        if ctx.attempt == 1:
            raise ValueError("broken off")
        return int(ctx.cursor)

    first = run(load())
    assert first.cursor == 1
    assert run(load(), attempt=2, cursor=first.cursor).cursor == 2


def test_what_is_meant_for_the_person_at_the_keyboard_comes_out() -> None:
    job = jobs.job(name="interrupted")(_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(job())


def _raise() -> None:
    raise ValueError("nil")


def _interrupt() -> None:
    raise KeyboardInterrupt
