"""Workers in this process, and a job that writes an order in a transaction of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool

from tabur import FunctionJob, JobContext
from tabur.drivers.contract import Claiming
from tabur.model.ids import id_bytes
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running.lines import Silence
from tabur.worker.running.pump import Pump
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.slots import LoopSlots, ThreadSlots
from tests.dispatch.shops import ORDER, Server, Shop

#: How a job may have its transaction: by SQLAlchemy's names of engines and clients.
WAYS = (
    "sqlite",
    "postgresql",
    "mysql",
    "sqlite+aiosqlite",
    "postgresql+asyncpg",
    "postgresql+psycopg",
    "mysql+asyncmy",
)
#: Where more than one may write.
ON_SERVERS = tuple(way for way in WAYS if not way.startswith("sqlite"))

on_servers = pytest.mark.parametrize("bench", ON_SERVERS, indirect=True)

#: How a claim may be taken from the worker w1.
TAKING: dict[str, Callable[[Claiming], int]] = {
    "rescued": lambda claiming: claiming.release_worker("w1"),
    "by its token": lambda claiming: claiming.release_token(claiming.held("w1")[0][1]),
}
taken = pytest.mark.parametrize("take", TAKING.values(), ids=TAKING)

Inside = Callable[[JobContext, Session], object]
Step = Callable[[JobContext], object]


def nothing(*_: object) -> None:
    pass


class Bench(Shop):
    """A shop whose jobs write orders; `client` is the asynchronous one they use, or None."""

    def __init__(self, url: str, server: Server | None, client: str | None) -> None:
        super().__init__(url, server)
        self.is_async = client is not None
        self.stops: list[Stop] = []
        self.async_engine: AsyncEngine | None = None
        if client is not None:
            there = make_url(url)
            self.async_engine = create_async_engine(
                there.set(drivername=f"{there.get_backend_name()}+{client}"), poolclass=NullPool
            )
            self.jobs.install(self.async_engine.sync_engine)
            self.jobs.use_sessions(self.async_engine)
        self.jobs.use_sessions(self.engine)

    @property
    def callers_engine(self) -> Engine:
        """The one that the jobs' sessions are on, as the synchronous half of SQLAlchemy sees it."""
        return self.engine if self.async_engine is None else self.async_engine.sync_engine

    def orders_job(
        self,
        *,
        before: Step = nothing,
        inside: Inside = nothing,
        after: Step = nothing,
        **options: Any,
    ) -> FunctionJob[[], Any]:
        """A job that orders tea in its own transaction. `inside` gets a Session either way."""

        def order(ctx: JobContext) -> Any:
            before(ctx)
            with ctx.transaction() as session:
                session.execute(ORDER)
                inside(ctx, session)
            return after(ctx)

        async def order_async(ctx: JobContext) -> Any:
            before(ctx)
            async with ctx.transaction() as session:
                await session.execute(ORDER)
                await session.run_sync(lambda sync: inside(ctx, sync))
            return after(ctx)

        declare = self.jobs.job(name="order", **options)
        return declare(order_async) if self.is_async else declare(order)

    def imports_job(
        self, *, chunks: int, between: Step = nothing, inside: Inside = nothing, **options: Any
    ) -> FunctionJob[[], None]:
        """A job that orders tea once per chunk, each in a transaction with a checkpoint, from where
        an attempt before came."""

        def order(ctx: JobContext) -> None:
            for chunk in range(ctx.cursor or 0, chunks):
                between(ctx)
                with Session(self.engine) as session, session.begin():
                    session.execute(text(f"INSERT INTO orders VALUES ('tea {chunk}')"))
                    inside(ctx, session)
                    ctx.checkpoint(session, cursor=chunk + 1)

        async def order_async(ctx: JobContext) -> None:
            from sqlalchemy.ext.asyncio import AsyncSession

            for chunk in range(ctx.cursor or 0, chunks):
                between(ctx)
                async with AsyncSession(self.async_engine) as session, session.begin():
                    await session.execute(text(f"INSERT INTO orders VALUES ('tea {chunk}')"))
                    await session.run_sync(lambda sync: inside(ctx, sync))
                    await ctx.checkpoint_async(session, cursor=chunk + 1)

        declare = self.jobs.job(name="import", **options)
        return declare(order_async) if self.is_async else declare(order)

    def work(self, worker: str = "w1", *, max_jobs: int = 0) -> None:
        """Run all that waits, or so many, in this thread."""
        runtime = self.jobs.runtime
        pump = Pump(
            runtime,
            WorkOptions(stop_when_empty=True, sleep=0.05, max_jobs=max_jobs),
            worker,
            StoreReporter(runtime, worker),
            Silence(),
            board=Board(),
        )
        loop = LoopSlots(4, runtime.scope, pump.done)
        threads = ThreadSlots(4, runtime.scope, pump.done)
        pump.run({Isolation.LOOP: loop, Isolation.THREAD: threads})
        threads.close()
        loop.close()
        loop._loop.close()  # a child's lasts as long as its process

    def working(self, worker: str) -> Working:
        return Working(self, worker)

    def stop(self) -> Stop:
        self.stops.append(Stop())
        return self.stops[-1]

    def attempts(self) -> list[str]:
        """How each attempt of all jobs has ended, oldest first."""
        with self.engine.connect() as connection:
            query = text("SELECT ending FROM job_outcomes ORDER BY seq")
            return [row[0] for row in connection.execute(query)]

    def finishers(self, job_id: str) -> list[tuple[str, str | None]]:
        """How each attempt of a job has ended, and by whom."""
        attempts = self.jobs.driver.inspection.attempts(id_bytes(job_id))
        return [(each.ending, each.worker) for each in attempts]

    def checked_out(self) -> int:
        """Connections that some session still has."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return pool.checkedout()

    def items(self) -> list[str]:
        with self.engine.connect() as connection:
            return sorted(row[0] for row in connection.execute(text("SELECT item FROM orders")))


class Working:
    """Another worker, which claims one job, and has done with it when the block is left."""

    def __init__(self, bench: Bench, worker: str) -> None:
        self._errors: list[BaseException] = []
        self._bench = bench
        self._thread = threading.Thread(target=self._work, args=(worker,))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for stop in self._bench.stops:
                stop.go_on()
        self._thread.join(40)
        assert not self._thread.is_alive()
        assert not self._errors

    def _work(self, worker: str) -> None:
        try:
            self._bench.work(worker, max_jobs=1)
        except BaseException as error:
            self._errors.append(error)
            raise


class Stop:
    """A place where the first to come waits until it is let on; all others pass."""

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._reached = threading.Event()
        self._go_on = threading.Event()

    def __call__(self, *_: object) -> None:
        if self._first.acquire(blocking=False):
            self._reached.set()
            assert self._go_on.wait(40)

    def reached(self) -> None:
        assert self._reached.wait(40)

    def go_on(self) -> None:
        self._go_on.set()
