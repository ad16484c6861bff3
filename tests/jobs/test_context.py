"""What a job sees while it runs, tried by `.run()`: no queue, no store."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tabur import Job, JobCancelled, JobContext, Progress, Tabur
from tabur.drivers.memory.driver import MemoryDriver
from tabur.jobs.context import FailJob, Reporter
from tabur.jobs.sessions import Sessions
from tabur.jobs.settling import Backing
from tabur.model.ids import new_id
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation

jobs = Tabur(connection="memory")


@jobs.job(queue="mail")
def describe(ctx: JobContext) -> tuple[str, str, int]:
    return ctx.name, ctx.queue, ctx.attempt


@jobs.job()
async def later(ctx: JobContext, n: int) -> int:
    await asyncio.sleep(0)
    return n * ctx.attempt


@jobs.register
class Sync(Job[str]):
    table: str

    async def handle(self, ctx: JobContext) -> str:
        return f"{ctx.name} {self.table}"


class Watching:
    """A reporter that remembers, and calls the job back after `until` looks."""

    stopping = False

    def __init__(self, until: int = 1_000_000) -> None:
        self.seen: list[Progress] = []
        self.files: list[tuple[Path | bytes, str, str]] = []
        self._left = until
        self.backing = Backing(None, Sessions(MemoryDriver))

    def progress(self, ctx: JobContext) -> None:
        self.seen.append(ctx.last_progress)

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int:
        self.files.append((content, name, media_type))
        return len(self.files)

    def cancelled(self, ctx: JobContext) -> bool:
        self._left -= 1
        return self._left < 0


def context(reporter: Reporter, *, attempts: int = 0) -> JobContext:
    return JobContext(
        ClaimedJob(
            id=new_id(),
            name="import_products",
            queue="imports",
            isolation=Isolation.THREAD,
            payload=b"{}",
            created_at=0,
            attempts=attempts,
            exceptions=0,
            crashes=0,
            tenant="acme",
            user="7",
            locale="ar",
        ),
        reporter,
    )


def test_run_gives_a_context_of_a_first_attempt() -> None:
    assert describe().run() == ("describe", "mail", 1)


def test_run_takes_a_context() -> None:
    assert describe().run(context(Watching(), attempts=2)) == ("import_products", "imports", 3)


def test_run_takes_options() -> None:
    @jobs.job(name="whose")
    def whose(ctx: JobContext) -> tuple[str, str | None, str | None, str | None]:
        return ctx.queue, ctx.tenant, ctx.user, ctx.locale

    pending = whose.options(queue="high", tenant="acme", user="7", locale="ar")()
    assert pending.run() == ("high", "acme", "7", "ar")


def test_run_waits_for_coroutines() -> None:
    assert later(n=3).run() == 3
    assert Sync(table="products").run() == "Sync products"


def test_run_works_inside_a_running_loop() -> None:
    async def test() -> int:
        return later(n=3).run()

    assert asyncio.run(test()) == 3


def test_errors_come_out_as_they_are() -> None:
    @jobs.job(name="broken")
    def broken() -> None:
        raise ZeroDivisionError("as it is")

    with pytest.raises(ZeroDivisionError, match="as it is"):
        broken().run()


def test_what_needs_a_worker_does_nothing_in_run() -> None:
    @jobs.job(name="busy")
    def busy(ctx: JobContext) -> int:
        ctx.progress(1, 2)
        ctx.warn("odd")
        ctx.check_cancelled()
        assert not ctx.cancelled
        return ctx.attach(b"rows", name="a.csv") + ctx.attach(b"rows", name="b.csv")

    assert busy().run() == 3


def test_who_it_is() -> None:
    ctx = context(Watching())
    assert (ctx.tenant, ctx.user, ctx.locale) == ("acme", "7", "ar")
    assert UUID(ctx.job_id).version == 7


def test_progress_keeps_what_is_left_out() -> None:
    reporter = Watching()
    ctx = context(reporter)
    ctx.progress(0, 200, message="Reading", unit="rows")
    ctx.progress(50)
    ctx.warn("row 51 has no price")
    ctx.progress(100, message="Writing")
    assert reporter.seen == [
        Progress(0, 200, "rows", "Reading", 0),
        Progress(50, 200, "rows", "Reading", 0),
        Progress(50, 200, "rows", "Reading", 1),
        Progress(100, 200, "rows", "Writing", 1),
    ]
    assert [each.percent for each in reporter.seen] == [0, 25, 25, 50]


def test_odd_progress_is_made_storable() -> None:
    ctx = context(Watching())
    ctx.progress(-3, -1, message="m" * 600, unit="u" * 60)
    assert ctx.last_progress == Progress(0, 0, "u" * 40, "m" * 500, 0)
    assert ctx.last_progress.percent is None


def test_track_counts_what_is_done() -> None:
    reporter = Watching()
    ctx = context(reporter)
    assert list(ctx.track(["a", "b"], unit="rows", message="Reading")) == ["a", "b"]
    assert [(each.done, each.total) for each in reporter.seen] == [(0, 2), (1, 2), (2, 2)]
    assert reporter.seen[-1].unit == "rows"


def test_track_without_a_length_only_counts() -> None:
    reporter = Watching()
    ctx = context(reporter)
    assert sum(ctx.track(n for n in range(3))) == 3
    assert (reporter.seen[-1].done, reporter.seen[-1].percent) == (3, None)
    assert list(ctx.track(iter("ab"), total=2)) == ["a", "b"]
    assert reporter.seen[-1].percent == 100


def test_track_stops_when_called_back() -> None:
    ctx = context(Watching(until=2))
    done: list[int] = []
    with pytest.raises(JobCancelled):
        done.extend(ctx.track(range(5)))
    assert done == [0, 1]
    assert ctx.last_progress.done == 2


def test_check_cancelled_and_cancelled() -> None:
    assert context(Watching(until=0)).cancelled
    with pytest.raises(JobCancelled, match="was cancelled"):
        context(Watching(until=0)).check_cancelled()
    context(Watching()).check_cancelled()


def test_attach_takes_bytes_and_files() -> None:
    reporter = Watching()
    ctx = context(reporter)
    assert ctx.attach(b"rows", name="rejected.csv", media_type="text/csv") == 1
    assert ctx.attach(Path("var/report.pdf")) == 2
    assert reporter.files == [
        (b"rows", "rejected.csv", "text/csv"),
        (Path("var/report.pdf"), "report.pdf", "application/octet-stream"),
    ]
    with pytest.raises(TypeError, match=r"attach\(bytes\) needs name="):
        ctx.attach(b"rows")


def test_release_and_fail_are_not_caught_by_except_exception() -> None:
    @jobs.job(name="careless")
    def careless(ctx: JobContext) -> None:
        try:
            ctx.fail("The list has no rows.")
        except Exception:
            pytest.fail("an ordinary except must let it pass")

    with pytest.raises(FailJob) as failed:
        careless().run()
    assert str(failed.value.error) == "The list has no rows."


def test_fail_takes_an_exception_too() -> None:
    reason = ValueError("odd list")
    with pytest.raises(FailJob) as failed:
        context(Watching()).fail(reason)
    assert failed.value.error is reason


def test_release_takes_seconds_and_timedeltas() -> None:
    released = Tabur(connection="sync")
    delays: list[timedelta | float] = [0, 1.5, timedelta(minutes=1)]

    @released.job(tries=4)
    def again(ctx: JobContext) -> int:
        if delays:
            ctx.release(delays.pop())
        return ctx.attempt

    assert again.dispatch().result() == 4
