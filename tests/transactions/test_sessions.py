"""Where the sessions of `ctx.transaction()` come from."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from tabur import ConfigError, JobContext, State, Tabur
from tabur.drivers.database import engines
from tests.dispatch.shops import ORDER
from tests.transactions.bench import Bench

on_each = pytest.mark.parametrize("bench", ["sqlite", "postgresql", "mysql"], indirect=True)


@pytest.fixture
def plain(bench: Bench) -> Bench:
    """A bench that was told nothing of sessions."""
    bench.jobs.close()
    bench.jobs = Tabur(database_url=bench.url)
    return bench


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


class MySession(Session):
    pass


class MyAsyncSession(AsyncSession):
    pass


@on_each
def test_without_a_word_they_are_on_the_queues_own_database(plain: Bench) -> None:
    kinds: list[str] = []

    @plain.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction() as session:
            session.execute(ORDER)
            kinds.append(type(session).__name__)

    @plain.jobs.job()
    async def order_async(ctx: JobContext) -> None:
        async with ctx.transaction() as session:
            await session.execute(ORDER)
            kinds.append(type(session).__name__)

    for _ in range(3):
        order.dispatch()
        order_async.dispatch()
        plain.work()
    assert sorted(kinds) == ["AsyncSession"] * 3 + ["Session"] * 3
    assert (plain.orders(), plain.attempts()) == (6, ["completed"] * 6)


@on_each
def test_on_our_own_engine_no_more_than_five_are_open_at_once(plain: Bench) -> None:
    opened, most, lock = 0, 0, threading.Lock()

    @plain.jobs.job()
    async def order(ctx: JobContext) -> None:
        nonlocal opened, most
        async with ctx.transaction() as session:
            with lock:
                opened += 1
                most = max(most, opened)
            await session.execute(ORDER)
            with lock:
                opened -= 1

    plain.jobs.dispatch_many(order() for _ in range(12))
    plain.work()
    assert plain.orders() == 12
    assert 1 <= most <= 5


def test_each_kind_may_be_given_for_one_transaction(bench: Bench) -> None:
    kinds: list[str] = []

    @bench.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction(sessionmaker(bench.engine, class_=MySession)) as session:
            session.execute(ORDER)
            kinds.append(type(session).__mro__[1].__name__)

    @bench.jobs.job()
    async def order_async(ctx: JobContext) -> None:
        assert bench.async_engine is not None
        factory = async_sessionmaker(bench.async_engine, class_=MyAsyncSession)
        async with ctx.transaction(factory) as session:
            await session.execute(ORDER)
            kinds.append(type(session).__mro__[0].__name__)

    (order_async if bench.is_async else order).dispatch()
    bench.work()
    assert kinds == ["MyAsyncSession" if bench.is_async else "MySession"]
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])


def test_the_applications_factory_is_used(bench: Bench) -> None:
    if bench.async_engine is not None:
        bench.jobs.use_sessions(async_sessionmaker(bench.async_engine, info={"whose": "ours"}))
    else:
        bench.jobs.use_sessions(sessionmaker(bench.engine, info={"whose": "ours"}))
    seen: list[object] = []
    bench.orders_job(inside=lambda _, session: seen.append(session.info["whose"])).dispatch()
    bench.work()
    assert seen == ["ours"]


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
@pytest.mark.parametrize("given", ["shop", Session, lambda: None])
def test_what_makes_no_new_sessions_is_refused(bench: Bench, given: Any) -> None:
    with pytest.raises(ConfigError, match=r"sessionmaker.*Engine"):
        bench.jobs.use_sessions(given)


@pytest.mark.parametrize("bench", ["sqlite", "mysql"], indirect=True)
def test_without_an_asynchronous_client_it_is_said_what_to_do(
    plain: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)

    @plain.jobs.job()
    async def order(ctx: JobContext) -> None:
        async with ctx.transaction():
            pass

    handle = order.dispatch()
    plain.work()
    error = handle.status().error
    assert error is not None
    assert error.type == "ConfigError"
    assert "pip install a" in error.message
    assert "jobs.use_sessions(…)" in error.message


@pytest.mark.parametrize("bench", ["postgresql", "mysql"], indirect=True)
def test_a_connection_that_commits_each_statement_is_refused(bench: Bench) -> None:
    began: list[int] = []

    @bench.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction(bench.engine.execution_options(isolation_level="AUTOCOMMIT")):
            began.append(1)

    handle = order.dispatch()
    bench.work()
    error = handle.status().error
    assert error is not None
    assert (error.type, began) == ("ConfigError", [])
    assert "AUTOCOMMIT" in error.message


@on_each
def test_a_session_that_also_writes_elsewhere_is_refused(bench: Bench) -> None:
    """Only one of its two commits would be fenced."""
    other = Bench(bench.another_database(), None, None)
    Base.metadata.create_all(other.engine)
    both = sessionmaker(bench.engine, binds={Note: other.engine})

    @bench.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction(both) as session:
            session.execute(ORDER)
            session.add(Note(id=1))

    handle = order.dispatch()
    bench.work()
    other.close()
    error = handle.status().error
    assert error is not None
    assert error.type == "ConfigError"
    assert "cannot span both" in error.message
    assert bench.orders() == 0


@on_each
def test_closing_the_app_closes_its_engine(plain: Bench) -> None:
    made: list[object] = []

    @plain.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction() as session:
            made.append(session.get_bind())
            session.execute(ORDER)

    for _ in range(2):
        order.dispatch()
        plain.work()
    first, second = made
    assert first is second
    closed: list[object] = []
    event.listen(first, "engine_disposed", closed.append)
    plain.jobs.close()
    assert closed == [first]
    assert order.dispatch().status().state is State.PENDING
