"""The outbox on each engine, with Redis behind it, and the worker that empties it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from servers.redis import RedisServer
from tabur import FunctionJob, JobNotFound, State, Tabur
from tabur.drivers.contract import Relaying
from tabur.drivers.outbox.driver import OutboxDriver
from tests.connections.stores import size

ENGINES = ["sqlite", "postgres", "mariadb"]


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shop.sqlite3"
    server = request.getfixturevalue(f"{request.param}_server")
    name = f"outbox_{time.time_ns()}"
    created: str = server.create_database(name)
    return created


@pytest.fixture
def app(url: str, redis_server: RedisServer, tmp_path: Path) -> Iterator[Tabur]:
    app = Tabur(
        connection="redis",
        redis_url=redis_server.url(),
        redis_prefix=tmp_path.name,
        outbox_url=url,
    )
    assert app.migrate() == ["job_outbox"]
    assert app.migrate() == []
    yield app
    app.close()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def confirm(app: Tabur) -> FunctionJob[[int], int]:
    @app.job(name="confirm")
    def confirm(order_id: int) -> int:
        return order_id

    return confirm


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM job_outbox")).scalar_one())


def test_what_commits_comes_to_redis_once(
    app: Tabur, engine: Engine, confirm: FunctionJob[[int], int]
) -> None:
    with Session(engine) as session, session.begin():
        handle = confirm.options(session=session).dispatch(7)
        with pytest.raises(JobNotFound):
            handle.status()
    assert handle.status().state is State.PENDING
    until(lambda: size(app, "redis") == 1 and rows(engine) == 0)
    with Session(engine) as session:
        configured = confirm.options(session=session)
        app.dispatch_many(configured(n) for n in range(700))
        session.rollback()
        handles = app.dispatch_many(configured(n) for n in range(700))
        session.commit()
    until(lambda: size(app, "redis") == 701 and rows(engine) == 0)
    assert handles[699].status().connection == "redis"


@pytest.mark.parametrize("url", ["postgres", "mariadb"], indirect=True)  # SQLite has one writer
def test_an_open_transaction_is_not_waited_for(
    app: Tabur, engine: Engine, confirm: FunctionJob[[int], int]
) -> None:
    driver = app.driver
    assert isinstance(driver, Relaying)
    with Session(engine) as open_one, Session(engine) as session:
        confirm.options(session=open_one).dispatch(1)
        handle = confirm.options(session=session).dispatch(2)
        session.commit()
        until(lambda: size(app, "redis") == 1)
        # Nor does a relay that is on its way hold up who inserts.
        for n in range(20):
            confirm.options(session=open_one).dispatch(n)
            driver.relay()
        open_one.commit()
    assert handle.status().state is State.PENDING
    until(lambda: size(app, "redis") == 22)


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)  # clients we have
def test_an_async_session(
    app: Tabur, url: str, engine: Engine, confirm: FunctionJob[[int], int]
) -> None:
    async_url = url.replace("sqlite:", "sqlite+aiosqlite:")

    async def order() -> None:
        async_engine = create_async_engine(async_url)
        async with AsyncSession(async_engine) as session:
            await confirm.options(session=session).dispatch_async(1)
            await session.commit()
        await async_engine.dispose()

    asyncio.run(order())
    until(lambda: size(app, "redis") == 1 and rows(engine) == 0)


SHOP = """
import os
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tabur import Tabur

jobs = Tabur(connection="redis", redis_url={redis!r}, redis_prefix={prefix!r}, outbox_url={url!r})

@jobs.job()
def confirm(order_id: int) -> int:
    return order_id

def die_after_commit():
    jobs.driver._relayer.soon = lambda: None  # its process is gone before it could
    with Session(create_engine({url!r})) as session, session.begin():
        print(confirm.options(session=session).dispatch(7).id, flush=True)
    os._exit(0)
"""


def test_a_worker_brings_what_its_dispatcher_did_not_live_to_bring(
    app: Tabur, url: str, redis_server: RedisServer, tmp_path: Path, engine: Engine
) -> None:
    shop = SHOP.format(redis=redis_server.url(), prefix=tmp_path.name, url=url)
    (tmp_path / "outbox_shop.py").write_text(shop, "utf-8")
    died = subprocess.run(
        [sys.executable, "-c", "import outbox_shop; outbox_shop.die_after_commit()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    handle = app.handle(died.stdout.strip())
    assert rows(engine) == 1
    worker = subprocess.Popen(
        [sys.executable, "-m", "tabur", "--app=outbox_shop:jobs", "queue:work", "--quiet"],
        cwd=tmp_path,
    )
    try:
        assert handle.wait(timeout=30) == 7
        assert rows(engine) == 0
    finally:
        worker.terminate()
        assert worker.wait(20) == 0


RELAY = """
from tabur.drivers.outbox import outbox
from tabur.drivers.outbox.outbox import Outbox
from tabur.drivers.redis.driver import RedisDriver

outbox.CHUNK, outbox.LEFT_ALONE = 7, 0  # many moments to die in; what the dead have marked at once
rows, driver = Outbox({url!r}, "redis {prefix}"), RedisDriver({redis!r}, prefix={prefix!r})
while True:
    rows.relay(driver)
"""


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_relays_that_are_killed_lose_and_double_nothing(
    app: Tabur,
    engine: Engine,
    confirm: FunctionJob[[int], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = app.settings
    driver = app.driver
    assert isinstance(driver, OutboxDriver)
    monkeypatch.setattr(driver._relayer, "soon", lambda: None)
    with Session(engine) as session, session.begin():
        configured = confirm.options(session=session)
        handles = app.dispatch_many(configured(n) for n in range(2000))
    script = RELAY.format(
        url=settings.outbox_url, redis=settings.redis_url, prefix=settings.redis_prefix
    )
    left = [2000]
    while len(left) < 5 and left[-1]:
        relays = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
        until(lambda: rows(engine) < left[-1])
        for relay in relays:
            relay.kill()
            relay.wait()
        left.append(rows(engine))
    assert left[1] > 0  # they were killed on their way
    monkeypatch.setattr("tabur.drivers.outbox.outbox.LEFT_ALONE", 0)
    driver.relay()
    assert (rows(engine), size(app, "redis")) == (0, 2000)
    assert {handle.status().state for handle in handles[::100]} == {State.PENDING}
