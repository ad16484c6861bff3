"""Dispatch in the caller's own transaction: the job commits or vanishes with the caller's rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from tabur import ConfigError, FunctionJob, IdempotencyConflict, Tabur
from tabur.errors import DispatchWouldBlock


class Shop:
    """An app and an engine on one database, with one table of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'shop.sqlite3'}"
        self.jobs = Tabur(database_url=self.url)
        self.engine: Engine = create_engine(self.url)
        self.confirm: FunctionJob[..., None] = self.jobs.job(name="confirm")(_confirm)

    def waiting(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())

    def orders(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


def _confirm(order_id: int) -> None:
    pass


ORDER = text("INSERT INTO orders VALUES (NULL)")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.jobs.migrate()
    shop.jobs.install(shop.engine)
    with shop.engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY)"))
    yield shop
    shop.jobs.close()
    shop.engine.dispose()


def test_the_job_commits_with_the_order(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(ORDER)
        handle = shop.confirm.options(session=session).dispatch(order_id=1)
        assert shop.waiting() == 0
    assert (shop.orders(), shop.waiting()) == (1, 1)
    assert handle.status().state == "pending"


def test_the_job_vanishes_with_the_order(shop: Shop) -> None:
    with Session(shop.engine) as session:
        session.execute(ORDER)
        shop.confirm.options(session=session).dispatch(order_id=1)
        session.rollback()
    assert (shop.orders(), shop.waiting()) == (0, 0)


def test_a_savepoint_rolled_back_takes_its_job_along(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(ORDER)
        shop.confirm.options(session=session).dispatch(order_id=1)
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            shop.confirm.options(session=session).dispatch(order_id=2)
            raise ZeroDivisionError
    assert (shop.orders(), shop.waiting()) == (1, 1)


def test_a_connection_serves_as_well(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(ORDER)
        shop.confirm.options(session=connection).dispatch(order_id=1)
    assert (shop.orders(), shop.waiting()) == (1, 1)


def test_a_scoped_session_serves_as_well(shop: Shop) -> None:
    session = scoped_session(sessionmaker(shop.engine))
    session.execute(ORDER)
    shop.confirm.options(session=session).dispatch(order_id=1)  # type: ignore[arg-type]
    session.commit()
    session.remove()
    assert (shop.orders(), shop.waiting()) == (1, 1)


def test_many_go_in_the_callers_transaction(shop: Shop) -> None:
    with Session(shop.engine) as session:
        configured = shop.confirm.options(session=session)
        shop.jobs.dispatch_many(configured(order_id=n) for n in range(100))
        session.rollback()
        shop.jobs.dispatch_many(configured(order_id=n) for n in range(50))
        session.commit()
    assert shop.waiting() == 50


def test_after_commit_waits_for_the_outermost_commit(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        with session.begin_nested():
            session.execute(ORDER)
            shop.confirm.options(session=session, after_commit=True).dispatch(order_id=1)
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0
    assert shop.waiting() == 1


def test_after_commit_never_fires_for_what_was_rolled_back(shop: Shop) -> None:
    with Session(shop.engine) as session:
        shop.confirm.options(session=session, after_commit=True).dispatch(order_id=1)
        session.execute(ORDER)
        session.rollback()
        session.execute(ORDER)
        nested = session.begin_nested()
        shop.confirm.options(session=session, after_commit=True).dispatch(order_id=2)
        nested.rollback()
        shop.confirm.options(session=session, after_commit=True).dispatch(order_id=3)
        session.commit()
        session.execute(ORDER)
        session.commit()
    assert shop.waiting() == 1


def test_a_plain_dispatch_inside_ones_own_write_raises_at_once(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(ORDER)
        with pytest.raises(DispatchWouldBlock, match="session=session"):
            shop.confirm.dispatch(order_id=1)
    shop.confirm.dispatch(order_id=2)
    assert shop.waiting() == 1


def test_a_plain_dispatch_beside_an_open_read_goes_through(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(text("SELECT * FROM orders"))
        shop.confirm.dispatch(order_id=1)
    assert shop.waiting() == 1


def test_another_database_is_refused_with_the_reason(shop: Shop, tmp_path: Path) -> None:
    other = create_engine(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    with (
        Session(other) as session,
        pytest.raises(ConfigError, match=r"cannot span both.*after_commit=True"),
    ):
        shop.confirm.options(session=session).dispatch(order_id=1)
    other.dispose()


def test_a_memory_queue_has_no_transactions(shop: Shop) -> None:
    jobs = Tabur(connection="memory")
    confirm = jobs.job(name="confirm")(_confirm)
    with Session(shop.engine) as session:
        with pytest.raises(ConfigError, match="after_commit=True"):
            confirm.options(session=session).dispatch(order_id=1)
        session.execute(ORDER)
        handle = confirm.options(session=session, after_commit=True).dispatch(order_id=1)
        session.commit()
    assert handle.status().state == "pending"


def test_after_commit_needs_to_know_whose(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="whose commit"):
        shop.confirm.options(after_commit=True).dispatch(order_id=1)
    with shop.engine.connect() as connection, pytest.raises(ConfigError, match="Session"):
        shop.confirm.options(session=connection, after_commit=True).dispatch(order_id=1)


def test_what_is_no_session_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="Session, Connection"):
        shop.confirm.options(session="shop").dispatch(order_id=1)  # type: ignore[arg-type]


def test_an_idempotency_key_leads_to_the_same_job_in_a_transaction(shop: Shop) -> None:
    ids = []
    for _ in range(2):
        with Session(shop.engine) as session, session.begin():
            session.execute(ORDER)
            configured = shop.confirm.options(session=session, idempotency_key="order-1")
            ids.append(configured.dispatch(order_id=1).id)
    assert ids[0] == ids[1]
    assert shop.waiting() == 1
    with (
        Session(shop.engine) as session,
        pytest.raises(IdempotencyConflict, match="order-1"),
    ):
        shop.confirm.options(session=session, idempotency_key="order-1").dispatch(order_id=2)


@pytest.fixture
def async_engine(shop: Shop) -> AsyncEngine:
    return create_async_engine(shop.url.replace("sqlite:", "sqlite+aiosqlite:"), poolclass=NullPool)


async def _in_async_session(engine: AsyncEngine, shop: Shop, *, commit: bool) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(ORDER)
        await shop.confirm.options(session=session).dispatch_async(order_id=1)
        await (session.commit() if commit else session.rollback())
    await engine.dispose()


@pytest.mark.parametrize("commit", [True, False])
def test_an_async_session_carries_the_job(
    shop: Shop, async_engine: AsyncEngine, commit: bool
) -> None:
    import asyncio

    asyncio.run(_in_async_session(async_engine, shop, commit=commit))
    assert (shop.orders(), shop.waiting()) == ((1, 1) if commit else (0, 0))


def test_an_async_session_after_its_commit(shop: Shop, async_engine: AsyncEngine) -> None:
    import asyncio

    async def order() -> None:
        async with AsyncSession(async_engine) as session:
            await session.execute(ORDER)
            configured = shop.confirm.options(session=session, after_commit=True)
            await configured.dispatch_async(order_id=1)
            assert shop.waiting() == 0
            await session.commit()
        await async_engine.dispose()

    asyncio.run(order())
    assert (shop.orders(), shop.waiting()) == (1, 1)


def test_an_async_connection_and_a_plain_dispatch_async(
    shop: Shop, async_engine: AsyncEngine
) -> None:
    import asyncio

    async def order() -> None:
        async with async_engine.begin() as connection:
            await connection.execute(ORDER)
            await shop.confirm.options(session=connection).dispatch_async(order_id=1)
        await shop.confirm.dispatch_async(order_id=2)
        await async_engine.dispose()

    asyncio.run(order())
    assert (shop.orders(), shop.waiting()) == (1, 2)


def test_an_async_session_needs_dispatch_async(shop: Shop, async_engine: AsyncEngine) -> None:
    import asyncio

    async def order() -> None:
        async with AsyncSession(async_engine) as session:
            with pytest.raises(ConfigError, match="dispatch_async"):
                shop.confirm.options(session=session).dispatch(order_id=1)
        await async_engine.dispose()

    asyncio.run(order())


def test_a_key_used_for_something_else_is_refused_in_every_way(shop: Shop) -> None:
    shop.confirm.options(idempotency_key="order-1").dispatch(1)
    again = shop.confirm.options(idempotency_key="order-1")
    with Session(shop.engine) as session, session.begin():
        with pytest.raises(IdempotencyConflict):
            again.options(session=session).dispatch(2)
        with pytest.raises(IdempotencyConflict):
            again.options(session=session, after_commit=True).dispatch(2)
        with pytest.raises(IdempotencyConflict):
            shop.jobs.dispatch_many([again.options(session=session)(2)])
        shop.jobs.dispatch_many([again.options(session=session)(1)])
    with pytest.raises(IdempotencyConflict):
        shop.jobs.dispatch_many([again(2)])
    assert shop.waiting() == 1
