"""Dispatch in the caller's own transaction, by asynchronous clients."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from tabur import ConfigError, IdempotencyConflict
from tests.dispatch.shops import ASYNC_CLIENTS, ORDER, Shop

_ALL = [(engine, client) for engine, clients in ASYNC_CLIENTS.items() for client in clients]

pytestmark = pytest.mark.parametrize(
    ("shop", "client"), _ALL, ids=["+".join(each) for each in _ALL], indirect=["shop"]
)


@pytest.fixture
def async_engine(shop: Shop, client: str) -> AsyncEngine:
    url = make_url(shop.url)
    return create_async_engine(
        url.set(drivername=f"{url.get_backend_name()}+{client}"), poolclass=NullPool
    )


@pytest.mark.parametrize("commit", [True, False])
def test_an_async_session_carries_the_job(
    shop: Shop, async_engine: AsyncEngine, commit: bool
) -> None:
    async def order() -> None:
        async with AsyncSession(async_engine) as session:
            await session.execute(ORDER)
            await shop.confirm.options(session=session).dispatch_async(order_id=1)
            await (session.commit() if commit else session.rollback())
        await async_engine.dispose()

    asyncio.run(order())
    assert (shop.orders(), shop.waiting()) == ((1, 1) if commit else (0, 0))


@pytest.mark.parametrize("commit", [True, False])
def test_an_async_session_carries_a_chain(
    shop: Shop, async_engine: AsyncEngine, commit: bool
) -> None:
    async def order() -> None:
        async with AsyncSession(async_engine) as session:
            await session.execute(ORDER)
            chain = shop.jobs.chain(shop.confirm(order_id=1), shop.confirm(order_id=2))
            await chain.options(session=session).dispatch_async()
            await (session.commit() if commit else session.rollback())
        await async_engine.dispose()

    asyncio.run(order())
    assert (shop.orders(), shop.waiting()) == ((1, 2) if commit else (0, 0))
    assert len(shop.jobs.batches()) == commit


def test_a_savepoint_rolled_back_takes_its_job_along(shop: Shop, async_engine: AsyncEngine) -> None:
    async def order() -> None:
        async with AsyncSession(async_engine) as session, session.begin():
            await session.execute(ORDER)
            await shop.confirm.options(session=session).dispatch_async(order_id=1)
            with pytest.raises(ZeroDivisionError):
                async with session.begin_nested():
                    await shop.confirm.options(session=session).dispatch_async(order_id=2)
                    raise ZeroDivisionError
        await async_engine.dispose()

    asyncio.run(order())
    assert (shop.orders(), shop.waiting()) == (1, 1)


def test_an_async_session_after_its_commit(shop: Shop, async_engine: AsyncEngine) -> None:
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
    async def order() -> None:
        async with async_engine.begin() as connection:
            await connection.execute(ORDER)
            await shop.confirm.options(session=connection).dispatch_async(order_id=1)
        await shop.confirm.dispatch_async(order_id=2)
        await async_engine.dispose()

    asyncio.run(order())
    assert (shop.orders(), shop.waiting()) == (1, 2)


def test_an_idempotency_key_leads_to_the_same_job(shop: Shop, async_engine: AsyncEngine) -> None:
    async def order(order_id: int) -> str:
        async with AsyncSession(async_engine) as session, session.begin():
            await session.execute(ORDER)
            configured = shop.confirm.options(session=session, idempotency_key="order-1")
            return str((await configured.dispatch_async(order_id=order_id)).id)

    async def orders() -> None:
        assert await order(1) == await order(1)
        with pytest.raises(IdempotencyConflict, match="order-1"):
            await order(2)
        await async_engine.dispose()

    asyncio.run(orders())
    assert (shop.orders(), shop.waiting()) == (2, 1)


def test_a_key_that_two_sessions_use_at_the_same_time(
    shop: Shop, async_engine: AsyncEngine
) -> None:
    async def order() -> str:
        async with AsyncSession(async_engine) as session, session.begin():
            await session.execute(ORDER)
            configured = shop.confirm.options(session=session, idempotency_key="order-1")
            handle = await configured.dispatch_async(order_id=1)
            await asyncio.sleep(0.05)
            return str(handle.id)

    async def orders() -> None:
        first, second = await asyncio.gather(order(), order())
        assert first == second
        await async_engine.dispose()

    asyncio.run(orders())
    assert (shop.orders(), shop.waiting()) == (2, 1)


def test_another_database_is_refused(shop: Shop, client: str, tmp_path: Path) -> None:
    url = make_url(shop.another_database())
    other = create_async_engine(
        url.set(drivername=f"{url.get_backend_name()}+{client}"), poolclass=NullPool
    )

    async def order() -> None:
        async with AsyncSession(other) as session:
            with pytest.raises(ConfigError, match="cannot span both"):
                await shop.confirm.options(session=session).dispatch_async(order_id=1)
        await other.dispose()

    asyncio.run(order())


def test_an_async_session_needs_dispatch_async(shop: Shop, async_engine: AsyncEngine) -> None:
    async def order() -> None:
        async with AsyncSession(async_engine) as session:
            with pytest.raises(ConfigError, match="dispatch_async"):
                shop.confirm.options(session=session).dispatch(order_id=1)
        await async_engine.dispose()

    asyncio.run(order())
