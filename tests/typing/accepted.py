"""What type checkers must accept and know: checked by mypy and pyright, never run."""

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from tabur import (
    BatchHandle,
    BatchStatus,
    FunctionJob,
    Job,
    JobContext,
    JobHandle,
    PendingBatch,
    PendingChain,
    PendingJob,
    State,
    Tabur,
    UniqueConflict,
    WorkflowHandle,
    exponential,
)
from tabur.events import JobEvent, JobFailed, JobProcessed
from tabur.middleware import (
    FailOnException,
    InTransaction,
    Next,
    RateLimited,
    Release,
    Skip,
    ThrottlesExceptions,
    WithoutOverlapping,
)
from tabur.testing import FakeRun, run

jobs = Tabur.from_env()


def measured(job: JobContext, next: Next) -> int:
    return len(str(next(job))) + job.attempt


class Measured:
    def handle(self, job: JobContext, next: Next) -> object:
        return next(job)

    async def handle_async(self, job: JobContext, next: Next) -> object:
        return await next(job)


jobs.middleware(Measured(), Skip.when(lambda job: job.attempt > 3))


@jobs.job(
    middleware=[
        measured,
        Measured,
        InTransaction,
        RateLimited(10, per=timedelta(minutes=1), by=lambda job: job.tenant),
        WithoutOverlapping("key", expire_after=60),
        ThrottlesExceptions(10, 60, backoff=[1, 2], on=(KeyError,)),
        FailOnException(ValueError),
        Release.unless(lambda job: job.tenant is None, after=10),
    ]
)
def limited(ctx: JobContext, n: int) -> str:
    assert_type(ctx.session, Session)
    assert_type(ctx.async_session, AsyncSession)
    assert_type(ctx.idempotent("charge"), str)
    if n == 1:
        ctx.snooze(timedelta(minutes=1))
    ctx.cancel("enough")


@jobs.listen(JobFailed)
def hear_failed(event: JobFailed) -> None:
    assert_type(event.message, str)


@jobs.listen(JobFailed, JobProcessed)
def hear_both(event: JobEvent) -> int:
    return event.attempt


@jobs.job(encrypted=True, secret=("card",))
def charge(card: str) -> None: ...


@jobs.job(queue="notifications", tries=3, backoff=[30, 60, 120])
def send_order_confirmation(order_id: int) -> None: ...


@jobs.job(backoff=exponential(30, cap=3600), timeout=60, never_retry=(ValueError,))
def with_context(ctx: JobContext, order_id: int, *, note: str = "") -> str:
    return f"{ctx.attempt} {order_id} {note}"


@jobs.job()
async def asynchronous(ctx: JobContext, name: str) -> list[int]:
    return [len(name), ctx.attempt]


@jobs.job(connection="redis", expires=timedelta(hours=1))
async def bare() -> bytes:
    return b""


@jobs.register
class SyncPendingChangesJob(
    Job[dict[str, int]],
    connection="redis",
    queue="sync",
    tries=10,
    timeout=600,
    backoff=exponential(30, cap=3600),
):
    table_name: str | None = None
    limit: int = 500

    def handle(self, ctx: JobContext) -> dict[str, int]:
        return {"rows": self.limit}

    def failed(self, ctx: JobContext, error: BaseException) -> None: ...


@jobs.job(version=2, keep_completed=timedelta(hours=2), keep_failed=86_400, keep_at_most=100)
def versioned(order_id: int) -> None: ...


@versioned.upcast(1)
def from_version_1(old: dict[str, Any]) -> dict[str, Any]:
    return old


@SyncPendingChangesJob.upcast(1)
def sync_from_version_1(old: dict[str, Any]) -> dict[str, Any]:
    return old


async def samples() -> None:
    assert_type(from_version_1({}), dict[str, Any])
    assert_type(send_order_confirmation.dispatch(order_id=7), JobHandle[None])
    assert_type(send_order_confirmation(7), PendingJob[None])
    assert_type(with_context(7, note="x"), PendingJob[str])
    assert_type(with_context.dispatch(order_id=7).wait(timeout=5), str)
    assert_type(await asynchronous.dispatch_async(name="x"), JobHandle[list[int]])
    assert_type(bare.dispatch().result(), bytes)
    later = send_order_confirmation.options(delay=timedelta(minutes=5), queue="high")
    assert_type(later.dispatch(order_id=7), JobHandle[None])
    send_order_confirmation.options(connection="database").dispatch(7)
    send_order_confirmation.options(at=datetime.now(UTC), priority=3, tries=5).dispatch(7)
    handle = SyncPendingChangesJob(table_name="products").dispatch()
    assert_type(handle, JobHandle[dict[str, int]])
    assert_type(handle.result(), dict[str, int])
    configured = SyncPendingChangesJob(limit=5).options(queue="x")
    assert_type(configured, PendingJob[dict[str, int]])
    jobs.dispatch_many(send_order_confirmation(order_id=n) for n in range(1000))
    jobs.dispatch_many([SyncPendingChangesJob(), with_context(1)])


class MySession(Session): ...


class MyAsyncSession(AsyncSession): ...


def own_transactions(
    ctx: JobContext,
    engine: Engine,
    factory: sessionmaker[MySession],
    connection: Connection,
) -> int:
    with ctx.transaction() as session:
        assert_type(session, Session)
        ctx.result = {"n": 1}
    with ctx.transaction(engine) as session:
        assert_type(session, Session)
    with ctx.transaction(factory) as mine:
        assert_type(mine, MySession)
        ctx.checkpoint(mine, cursor={"page": 7})
        ctx.checkpoint(connection, cursor=None)
        return int(ctx.cursor or 0)  # what follows the block needs no return of its own


async def own_asynchronous_transactions(
    ctx: JobContext,
    engine: AsyncEngine,
    factory: async_sessionmaker[MyAsyncSession],
    connection: AsyncConnection,
) -> int:
    async with ctx.transaction() as session:
        assert_type(session, AsyncSession)
    async with ctx.transaction(engine) as session:
        assert_type(session, AsyncSession)
    async with ctx.transaction(factory) as mine:
        assert_type(mine, MyAsyncSession)
        await ctx.checkpoint_async(mine, cursor=7)
        await ctx.checkpoint_async(connection, cursor=[7])
        return 1


def where_sessions_come_from(
    engine: Engine, factory: async_sessionmaker[AsyncSession], other: sessionmaker[MySession]
) -> None:
    jobs.use_sessions(engine)
    jobs.use_sessions(other, factory)


@jobs.job(unique="shop", unique_for=timedelta(hours=1), on_conflict="replace")
def rebuild(shop: str, day: int = 0) -> int:
    return day


@jobs.job(unique=("shop", "day"), unique_until="start")
def close(shop: str, day: int) -> None: ...


@jobs.job(unique=lambda args: args.shop.lower(), on_conflict="raise")
def export(shop: str) -> None: ...


@jobs.job(unique=(), debounce=5, max_wait=timedelta(minutes=1))
def push(shop: str) -> None: ...


@jobs.register
class Once(Job[None], unique=True):
    shop: str

    def handle(self, ctx: JobContext) -> None: ...


def unique_jobs() -> None:
    handle = rebuild.options(unique_key="basra", on_conflict="extend").dispatch("basra")
    assert_type(handle, JobHandle[int])
    assert_type(handle.was_skipped, bool)
    Once(shop="basra").options(debounce=timedelta(seconds=5)).dispatch()
    try:
        export.dispatch("basra")
    except UniqueConflict as conflict:
        assert_type(conflict.holder, str)


def fakes() -> None:
    with jobs.fake(only=[rebuild, Once]) as queue, jobs.fake(except_=(push,)):
        queue.assert_pushed(rebuild, lambda job: job.args.shop == "basra", times=2)
        queue.assert_pushed_on("sync", Once)
        queue.assert_pushed_to("redis", Once)
        queue.assert_pushed_after_commit(push)
        queue.assert_count(3)
        queue.travel(timedelta(minutes=5))
        assert_type(queue.drain(limit=10), int)
    done = run(rebuild("basra"), attempt=2, cursor={"page": 7})
    assert_type(done, FakeRun[int])
    assert_type(done.result, int)
    assert_type(run(SyncPendingChangesJob()).result, dict[str, int])
    assert_type(run(asynchronous("x"), cancelled=True, stopping=True).result, list[int])
    done.assert_released(delay=timedelta(seconds=30))
    done.assert_failed_with(ValueError)
    done.assert_failed_with("No rows.")


def takes_any_order_job(job: FunctionJob[[int], None]) -> None: ...


def composed(ctx: JobContext) -> None:
    chain = jobs.chain(
        with_context(7), jobs.batch([with_context(1)]), SyncPendingChangesJob(), jobs.chain(bare())
    )
    handle = chain.catch(send_order_confirmation(7)).on_queue("x").delay(60).dispatch()
    assert_type(chain.on_connection("redis"), PendingChain)
    assert_type(handle, BatchHandle)
    assert_type(handle.status().percent, int)
    batch = jobs.batch((with_context(n) for n in range(40)), name="Import", allow_failures=True)
    assert_type(batch.then(bare(), SyncPendingChangesJob()).allow_failures(), PendingBatch)
    jobs.batch([with_context(1), chain, SyncPendingChangesJob()]).finally_(bare()).dispatch()
    assert_type(handle.wait(timeout=5), BatchStatus)
    if ctx.batch is not None and not ctx.batch.cancelled:
        assert_type(ctx.batch.add([with_context(2), chain]), int)
    found = jobs.find_batch(handle.id)
    assert_type(found, BatchHandle | None)
    assert_type(jobs.batches(limit=5), list[BatchStatus])
    flow = jobs.workflow("nightly")
    flow.add("one", with_context(1)).add("two", [bare(), SyncPendingChangesJob()], after="one")
    outer = jobs.workflow("outer").add("inner", flow).catch(bare())
    assert_type(outer.dispatch(), WorkflowHandle)
    assert_type(outer.svg(), str)
    assert_type(outer.dispatch().steps()[0].state, State | None)


async def composed_away(session: AsyncSession) -> None:
    chain = jobs.chain(bare()).options(session=session, tenant="acme")
    assert_type(await chain.dispatch_async(), BatchHandle)
    assert_type(await jobs.workflow("x").add("a", bare()).dispatch_async(), WorkflowHandle)
