"""Where there is no claim to lose the session is committed. Where no transaction can span both, it
is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from servers.redis import RedisServer
from tabur import ConfigError, FunctionJob, JobContext, State, Tabur
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running.lines import Silence
from tabur.worker.running.pump import Pump
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.slots import ThreadSlots
from tests.dispatch.shops import ORDER
from tests.transactions.bench import nothing


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/shop.sqlite3")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (item VARCHAR(20))"))
    yield engine
    engine.dispose()


@pytest.fixture
def async_engine(engine: Engine) -> AsyncEngine:
    url = engine.url.set(drivername="sqlite+aiosqlite")
    return create_async_engine(url, poolclass=NullPool)


def orders(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


def declare(jobs: Tabur, **steps: Callable[[JobContext], object]) -> FunctionJob[[], Any]:
    @jobs.job(tries=3)
    def order(ctx: JobContext) -> Any:
        with ctx.transaction() as session:
            session.execute(ORDER)
            ctx.result = {"n": 1}
            steps.get("inside", nothing)(ctx)
        return steps.get("after", nothing)(ctx)

    return order


def declare_async(jobs: Tabur, **steps: Callable[[JobContext], object]) -> FunctionJob[[], Any]:
    @jobs.job(tries=3)
    async def order(ctx: JobContext) -> Any:
        async with ctx.transaction() as session:
            await session.execute(ORDER)
            ctx.result = {"n": 1}
            steps.get("inside", nothing)(ctx)
        return steps.get("after", nothing)(ctx)

    return order


colours = pytest.mark.parametrize("declare", [declare, declare_async], ids=["with", "async with"])


def work(jobs: Tabur) -> None:
    runtime = jobs.runtime
    reporter = StoreReporter(runtime, "w1")
    pump = Pump(
        runtime, WorkOptions(stop_when_empty=True), "w1", reporter, Silence(), board=Board()
    )
    slots = ThreadSlots(2, runtime.scope, pump.done)
    pump.run({Isolation.THREAD: slots})
    slots.close()


@colours
def test_on_sync_it_commits_and_the_job_is_completed_after_it(
    declare: Any, engine: Engine, async_engine: AsyncEngine
) -> None:
    jobs = Tabur(connection="sync")
    jobs.use_sessions(engine, async_engine)

    def inside(ctx: JobContext) -> None:
        if ctx.attempt < 3:
            raise ValueError("no")

    handle = declare(jobs, inside=inside).dispatch()
    assert (handle.result(), handle.status().attempt, orders(engine)) == ({"n": 1}, 3, 1)


@colours
def test_on_sync_what_follows_undoes_nothing_either(
    declare: Any, engine: Engine, async_engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = Tabur(connection="sync")
    jobs.use_sessions(engine, async_engine)
    handle = declare(jobs, after=lambda ctx: ctx.fail("too late")).dispatch()
    assert (handle.status().state, handle.result()) == (State.COMPLETED, {"n": 1})
    assert "what followed raised" in caplog.text


def test_on_sync_mistakes_are_told_as_elsewhere(engine: Engine) -> None:
    jobs = Tabur(connection="sync")
    jobs.use_sessions(engine)

    def inside(ctx: JobContext) -> None:
        with ctx.transaction():
            pass

    handle = declare(jobs, inside=inside).dispatch()
    error = handle.status().error
    assert error is not None
    assert "begin_nested" in error.message
    assert orders(engine) == 0


@colours
def test_run_commits_and_answers_what_it_returns(
    declare: Any, engine: Engine, async_engine: AsyncEngine
) -> None:
    jobs = Tabur(connection="database", database_url="sqlite:///nowhere/at/all.sqlite3")
    jobs.use_sessions(engine, async_engine)
    assert declare(jobs, after=lambda ctx: ctx.result)().run() == {"n": 1}
    assert orders(engine) == 1


def test_inside_fake_sessions_must_be_given(engine: Engine) -> None:
    jobs = Tabur()
    order = declare(jobs)
    with jobs.fake():
        with pytest.raises(ConfigError, match=r"jobs\.use_sessions"):
            order().run()
        jobs.use_sessions(engine)
        order().run()
    assert orders(engine) == 1


def test_in_memory_a_worker_commits_and_settles_after_it(engine: Engine) -> None:
    jobs = Tabur(connection="memory")
    jobs.use_sessions(engine)
    handle = declare(jobs).dispatch()
    work(jobs)
    assert (handle.result(), orders(engine)) == ({"n": 1}, 1)


@pytest.mark.parametrize("connection", ["sync", "memory"])
def test_checkpoints_are_kept_for_the_next_attempt(engine: Engine, connection: str) -> None:
    jobs = Tabur(connection=connection)
    seen: list[tuple[int, Any]] = []

    @jobs.job(tries=3)
    def load(ctx: JobContext) -> None:
        seen.append((ctx.attempt, ctx.cursor))
        for n in range(ctx.cursor or 0, 3):
            with Session(engine) as session, session.begin():
                session.execute(ORDER)
                ctx.checkpoint(session, cursor=n + 1)
                if n == ctx.attempt:
                    raise ValueError("broken off")

    handle = load.dispatch()
    if connection == "memory":
        work(jobs)
    assert handle.status().state is State.COMPLETED
    assert seen == [(1, None), (2, 1), (3, 2)]
    assert orders(engine) == 3


@pytest.mark.parametrize("outbox", [False, True])
def test_on_redis_it_is_refused_before_anything_is_done(
    redis_server: RedisServer, engine: Engine, outbox: bool
) -> None:
    """An outbox brings jobs from a transaction to Redis. It cannot bring the end of one back."""
    jobs = Tabur(
        connection="redis",
        redis_url=redis_server.url(),
        redis_prefix=f"fence{outbox}",
        outbox_url=str(engine.url) if outbox else None,
    )
    jobs.use_sessions(engine)
    jobs.migrate()
    began: list[int] = []

    @jobs.job()
    def order(ctx: JobContext, how: str) -> None:
        assert ctx.cursor is None
        if how == "transaction":
            with ctx.transaction():
                began.append(1)
        with Session(engine) as session, session.begin():
            session.execute(ORDER)
            ctx.checkpoint(session, cursor=1)

    handles = [order.dispatch(how=how) for how in ("transaction", "checkpoint")]
    work(jobs)
    for handle in handles:
        error = handle.status().error
        assert error is not None
        assert error.type == "ConfigError"
        assert "no transaction spans redis and your session" in error.message
    assert (began, orders(engine)) == ([], 0)
    jobs.close()
