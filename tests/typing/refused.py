"""What type checkers must refuse: each line marked `# refused` is an error for mypy and pyright."""

from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from tabur import Job, JobContext, Tabur
from tabur.events import JobFailed
from tabur.testing import run

jobs = Tabur.from_env()


@jobs.job(queue="notifications")
def send(order_id: int) -> None: ...


@jobs.job()
def with_context(ctx: JobContext, order_id: int) -> str:
    return str(order_id)


@jobs.job()
async def asynchronous(name: str) -> int:
    return len(name)


@jobs.register
class Sync(Job[int], queue="sync"):
    table: str
    limit: int = 500

    def handle(self, ctx: JobContext) -> int:
        return self.limit


@jobs.listen(int)  # refused
def hear_numbers(event: int) -> None: ...


@jobs.listen(JobFailed)  # refused
def hear_text(event: str) -> None: ...


@jobs.job(middleware=["skip"])  # refused
def odd() -> None: ...


send.dispatch(order_id="7")  # refused
send.dispatch()  # refused
send.dispatch(order_id=7, colour="red")  # refused
send(1, 2)  # refused
with_context.dispatch(None, 7)  # refused
with_context.dispatch(order_id=7).result().bit_length()  # refused
asynchronous(name=3)  # refused
asynchronous.dispatch(name="x").result().upper()  # refused
send.options(delay="5 minutes").dispatch(order_id=7)  # refused
send.options(connection="reddis").dispatch(order_id=7)  # refused
send.options(dellay=timedelta(minutes=5)).dispatch(order_id=7)  # refused
Sync()  # refused
Sync(table=3)  # refused
Sync(table="x", colour="red")  # refused
Sync(table="x").dispatch().result().upper()  # refused


@jobs.job(tries="three")  # refused
def wrong_tries() -> None: ...


@jobs.job(connection="reddis")  # refused
def wrong_connection() -> None: ...


@jobs.job(encrypted="yes")  # refused
def wrong_encrypted() -> None: ...


@jobs.job(quue="x")  # refused
def wrong_option() -> None: ...


@jobs.job(unique=7)  # refused
def wrong_unique() -> None: ...


@jobs.job(unique=True, on_conflict="wait")  # refused
def wrong_conflict() -> None: ...


@jobs.job(unique=True, unique_until="done")  # refused
def wrong_until() -> None: ...


send.options(unique=True).dispatch(order_id=7)  # refused
send.options(debounce="5 s").dispatch(order_id=7)  # refused


def fakes() -> None:
    with jobs.fake(only=send):  # refused
        pass
    with jobs.fake(only=["send"]) as queue:  # refused
        queue.assert_pushed("send")  # refused
        queue.assert_pushed(send, times="once")  # refused
        queue.assert_pushed_to("reddis", send)  # refused
        queue.travel("5 minutes")  # refused
    run(send)  # refused
    run(send(order_id=7), attempt="2")  # refused
    run(asynchronous("x")).result.upper()  # refused
    run(send(order_id=7)).assert_failed_with(ValueError("x"))  # refused


@jobs.job(keep_completed="1d")  # refused
def wrong_keep() -> None: ...


@send.upcast("1")  # refused
def wrong_version(old: dict[str, object]) -> dict[str, object]:
    return old


@send.upcast(1)  # refused
def wrong_upcaster(old: list[int]) -> None: ...


def own_transactions(
    ctx: JobContext,
    engine: Engine,
    async_engine: AsyncEngine,
    factory: async_sessionmaker[AsyncSession],
    session: AsyncSession,
) -> None:
    with ctx.transaction(async_engine):  # refused
        pass
    with ctx.transaction(factory):  # refused
        pass
    with ctx.transaction("sqlite://"):  # refused
        pass
    with ctx.transaction() as given:
        given.no_such_method()  # refused
    ctx.checkpoint(session, cursor=1)  # refused
    jobs.use_sessions("sqlite://")  # refused


async def own_asynchronous_transactions(
    ctx: JobContext, engine: Engine, factory: sessionmaker[Session], session: Session
) -> None:
    async with ctx.transaction(engine):  # refused
        pass
    async with ctx.transaction(factory):  # refused
        pass
    await ctx.checkpoint_async(session, cursor=1)  # refused
    ctx.checkpoint(session, 1)  # refused


def composed(ctx: JobContext) -> None:
    jobs.chain(send)  # refused
    jobs.chain(send(order_id="7"))  # refused
    jobs.chain([send(1)])  # refused
    jobs.batch(send(1))  # refused
    jobs.batch([jobs.batch([])])  # refused
    jobs.batch([send(1)], nam="x")  # refused
    jobs.batch([send(1)]).then(send)  # refused
    jobs.chain(send(1)).then(send(2))  # refused
    jobs.chain(send(1)).options(tries=3)  # refused
    jobs.chain(send(1)).on_connection("reddis")  # refused
    jobs.chain(send(1)).dispatch().result()  # refused
    ctx.batch.add([])  # refused
    jobs.workflow("x").add("a", jobs.batch([]))  # refused
    jobs.workflow("x").add("a", send(1), after=1)  # refused
