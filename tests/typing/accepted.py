"""What type checkers must accept and know: checked by mypy and pyright, never run."""

from datetime import UTC, datetime, timedelta
from typing import assert_type

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from tabur import FunctionJob, Job, JobContext, JobHandle, PendingJob, Tabur, exponential

jobs = Tabur.from_env()


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


async def samples() -> None:
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


def takes_any_order_job(job: FunctionJob[[int], None]) -> None: ...
