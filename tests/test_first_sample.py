"""The first sample of the design, as it stands: declared, dispatched in each of its ways on a
SQLite file, and worked off by a real worker."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tabur import JobHandle, State, Tabur

DECLARED = """
from datetime import timedelta
from tabur import Job, JobContext, Tabur, exponential

jobs = Tabur.from_env()                  # QUEUE_CONNECTION, DATABASE_URL, REDIS_URL, .env

@jobs.job(queue="notifications", tries=3, backoff=[30, 60, 120])
def send_order_confirmation(order_id: int) -> None: ...          # a leading ctx may be asked for

@jobs.register
class SyncPendingChangesJob(Job[dict[str, int]], queue="sync", tries=10, timeout=600, backoff=exponential(30, cap=3600)):
    table_name: str | None = None                                 # fields are the payload, options are class keywords
    limit: int = 500
    def handle(self, ctx: JobContext) -> dict[str, int]: ...      # or: async def handle
    def failed(self, ctx: JobContext, error: BaseException) -> None: ...
"""  # noqa: E501  # as the design writes it

DISPATCHED = """
send_order_confirmation.dispatch(order_id=7)                     # JobHandle: id, status(), progress(), …
send_order_confirmation.options(delay=timedelta(minutes=5), queue="high").dispatch(order_id=7)
await send_order_confirmation.dispatch_async(order_id=7)
jobs.dispatch_many(send_order_confirmation(order_id=n) for n in range(1000))     # one statement, not a thousand
with Session(engine) as session, session.begin():
    session.add(order); session.flush()
    send_order_confirmation.options(session=session).dispatch(order_id=order.id)  # commits or vanishes with the order
SyncPendingChangesJob(table_name="products").dispatch()
"""  # noqa: E501  # as the design writes it


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Shop:
    """The sample as a module in a folder of its own, and its database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'shop.sqlite3'}"
        self.module: Any = importlib.import_module("first_sample")
        self.jobs: Tabur = self.module.jobs
        self.engine = create_engine(self.url)

    def work(self) -> str:
        """Run a worker until nothing is left; what it printed."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tabur", "--app", "first_sample:jobs", "queue:work"),
                *("--queue=high,notifications,sync", "--stop-when-empty"),
            ],
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def endings(self) -> dict[tuple[str, str], int]:
        query = "SELECT r.name, o.ending FROM job_outcomes o JOIN job_records r ON r.id = o.id"
        with self.engine.connect() as connection:
            return dict(Counter((row[0], row[1]) for row in connection.execute(text(query))))

    def unfinished(self) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            found = connection.execute(text("SELECT name, queue FROM jobs"))
            return [(row[0], row[1]) for row in found]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for variable in ("QUEUE_CONNECTION", "TABUR_APP", "TABUR_KEY", "TABUR_ENV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "first_sample.py").write_text(DECLARED, encoding="utf-8")
    shop = Shop(tmp_path)
    shop.jobs.migrate()
    shop.jobs.install(shop.engine)
    Base.metadata.create_all(shop.engine)
    yield shop
    shop.jobs.close()
    shop.engine.dispose()
    del sys.modules["first_sample"]


def test_the_sample_runs_as_it_stands(shop: Shop) -> None:
    names = vars(shop.module) | {"Session": Session, "engine": shop.engine, "order": Order()}
    body = "".join(f"    {line}\n" for line in DISPATCHED.strip().splitlines())
    exec(f"async def dispatch():\n{body}", names)  # noqa: S102  # the sample
    asyncio.run(names["dispatch"]())
    assert len(shop.unfinished()) == 1 + 1 + 1 + 1000 + 1 + 1

    printed = shop.work()

    assert shop.endings() == {
        ("send_order_confirmation", "completed"): 1 + 1 + 1000 + 1,
        ("SyncPendingChangesJob", "completed"): 1,
    }
    assert shop.unfinished() == [("send_order_confirmation", "high")]  # in five minutes
    assert printed.count("DONE") == 1004


def test_its_handles_tell_of_the_end(shop: Shop) -> None:
    sample = shop.module
    sent: JobHandle[None] = sample.send_order_confirmation.dispatch(order_id=7)
    delayed = sample.send_order_confirmation.options(delay=300, queue="high").dispatch(order_id=7)
    synced = sample.SyncPendingChangesJob(table_name="products", limit=10).dispatch()
    assert sent.status().state is State.PENDING
    assert synced.status().queue == "sync"

    shop.work()

    handles: list[JobHandle[Any]] = [sent, synced]
    assert [each.wait(timeout=1) for each in handles] == [None, None]
    assert [each.status().attempt for each in handles] == [1, 1]
    assert delayed.status().state is State.SCHEDULED
    assert delayed.cancel()


def test_the_job_vanishes_with_the_order(shop: Shop) -> None:
    send = shop.module.send_order_confirmation
    with Session(shop.engine) as session:
        order = Order()
        session.add(order)
        session.flush()
        send.options(session=session).dispatch(order_id=order.id)
        session.rollback()
    assert shop.unfinished() == []


def test_in_an_asynchronous_session_too(shop: Shop) -> None:
    send = shop.module.send_order_confirmation

    async def place_orders() -> None:
        engine = create_async_engine(shop.url.replace("sqlite:", "sqlite+aiosqlite:"))
        shop.jobs.install(engine.sync_engine)
        async with AsyncSession(engine) as session:
            async with session.begin():
                session.add(order := Order())
                await session.flush()
                await send.options(session=session).dispatch_async(order_id=order.id)
            session.add(Order())
            await session.flush()
            await send.options(session=session).dispatch_async(order_id=2)
            await session.rollback()
        await engine.dispose()

    asyncio.run(place_orders())
    assert len(shop.unfinished()) == 1
    shop.work()
    assert shop.endings() == {("send_order_confirmation", "completed"): 1}
