"""`ctx.transaction()` and `ctx.checkpoint()` in the real worker: on its loop, in its threads, in
processes that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tabur import JobHandle, State
from tabur.model.ids import id_bytes, new_id
from tests.worker.workshop import Workshop, make_workshop

JOBS = """
import asyncio
import os
import signal
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tabur import Job, JobContext, Tabur
from tabur.errors import DispatchWouldBlock

jobs = Tabur.from_env()
ORDER = text("INSERT INTO orders VALUES (:item)")


def first_time(name: str) -> bool:
    mark = Path(os.environ["LEDGER"]).with_name(name)
    if mark.exists():
        return False
    mark.touch()
    return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.job()
def in_thread(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        ctx.progress(1, 2)
        ctx.result = item


@jobs.job()
async def on_loop(ctx: JobContext, item: str) -> None:
    async with ctx.transaction() as session:
        await session.execute(ORDER, {"item": item})
        ctx.progress(1, 2)
        ctx.result = item


@jobs.job(isolation="process")
def in_process(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        ctx.progress(1, 2)
        ctx.result = item


@jobs.job(isolation="process")
async def on_a_loop_of_its_own(ctx: JobContext, item: str) -> None:
    async with ctx.transaction() as session:
        await session.execute(ORDER, {"item": item})
        ctx.progress(1, 2)
        ctx.result = item


@jobs.job(isolation="process")
def killed_inside(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        if first_time(item):
            die()


@jobs.job(isolation="process")
def killed_after(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
    die()


@jobs.register
class KilledForTheThirdTime(Job[None], isolation="process"):
    item: str

    def handle(self, ctx: JobContext) -> None:
        if first_time("first") or first_time("second"):
            die()
        with ctx.transaction() as session:
            session.execute(ORDER, {"item": self.item})
        die()

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        first_time("failed")


@jobs.register
class TooLongAfterIt(Job[None], timeout=0.5):
    item: str

    def handle(self, ctx: JobContext) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with ctx.transaction() as session:
            session.execute(ORDER, {"item": self.item})
        time.sleep(60)

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        first_time("failed")


@jobs.job(isolation="process")
def killed_between(ctx: JobContext, item: str) -> None:
    engine = create_engine(jobs.settings.database_url)
    for n in range(ctx.cursor or 0, 3):
        with Session(engine) as session, session.begin():
            session.execute(ORDER, {"item": f"{item} {n}"})
            if n == 1 and first_time(item):
                die()
            ctx.checkpoint(session, cursor=n + 1)


@jobs.job(isolation="process")
def kills_all(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        if first_time(item):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)


@jobs.job(isolation="thread")
def child_killed_inside(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        if first_time(item):
            die()


@jobs.job(isolation="thread")
def child_killed_after(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
    die()


def dawdle() -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)


@jobs.job(timeout=2)
def too_long_in_process(ctx: JobContext, item: str, inside: bool) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        if inside:
            dawdle()
    dawdle()


@jobs.job(timeout=2, isolation="thread")
def too_long_in_thread(ctx: JobContext, item: str, inside: bool) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        if inside:
            dawdle()
    dawdle()


@jobs.job(timeout=2)
async def too_long_on_loop(ctx: JobContext, item: str, inside: bool) -> None:
    async with ctx.transaction() as session:
        await session.execute(ORDER, {"item": item})
        if inside:
            await asyncio.sleep(60)
    await asyncio.sleep(60)


@jobs.job(isolation="process")
def dispatches_beside(ctx: JobContext, item: str) -> None:
    with ctx.transaction() as session:
        session.execute(ORDER, {"item": item})
        try:
            in_thread.options(queue="aside").dispatch(item="beside")
        except DispatchWouldBlock:
            ctx.result = "refused"
"""


class Server(Protocol):
    def create_database(self, name: str) -> str: ...


class Store:
    """A workshop whose jobs and orders are in one database."""

    def __init__(self, shop: Workshop, url: str) -> None:
        self.shop = shop
        self.jobs = shop.module
        self._engine = create_engine(url, poolclass=NullPool)
        with self._engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (item VARCHAR(40))"))

    def items(self) -> list[str]:
        with self._engine.connect() as connection:
            return sorted(row[0] for row in connection.execute(text("SELECT item FROM orders")))

    def endings(self, handle: JobHandle[object]) -> list[str]:
        attempts = self.shop.jobs.driver.inspection.attempts(id_bytes(handle.id))
        return [each.ending for each in attempts]

    def worker(self, handle: JobHandle[object]) -> str | None:
        (attempt,) = self.shop.jobs.driver.inspection.attempts(id_bytes(handle.id))
        return attempt.worker


on_two = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    else:
        server: Server = request.getfixturevalue(f"{request.param}_server")
        url = server.create_database(f"own_{new_id().hex()}")
    shop = make_workshop(tmp_path, JOBS, monkeypatch, {"DATABASE_URL": url})
    try:
        shop.load()
        yield Store(shop, url)
    finally:
        shop.close()


def test_wherever_a_job_runs(store: Store) -> None:
    kinds = ("in_thread", "on_loop", "in_process", "on_a_loop_of_its_own")
    handles = {kind: getattr(store.jobs, kind).dispatch(item=kind) for kind in kinds}
    worker = store.shop.work()
    assert store.items() == sorted(kinds)
    for kind, handle in handles.items():
        status = handle.status()
        assert (status.state, status.result, status.attempt) == (State.COMPLETED, kind, 1)
        assert (status.progress.done, status.progress.total) == (1, 2)
    assert {store.endings(each)[0] for each in handles.values()} == {"completed"}
    (name,) = {store.worker(each) for each in handles.values()}
    assert name, "the child's, also of what ran in processes"
    assert worker.output.count(" DONE") == 4
    assert "was not settled" not in worker.output


@on_two
def test_killed_alone(store: Store) -> None:
    """The process of a job, killed inside its transaction or right after it."""
    inside = store.jobs.killed_inside.dispatch(item="inside")
    after = store.jobs.killed_after.dispatch(item="after")
    between = store.jobs.killed_between.dispatch(item="between")
    store.shop.work()
    assert store.items() == ["after", "between 0", "between 1", "between 2", "inside"]
    for handle in (inside, after, between):
        assert handle.status().state is State.COMPLETED
    assert store.endings(inside) == store.endings(between) == ["crashed", "completed"]
    assert store.endings(after) == ["completed"]


@on_two
@pytest.mark.parametrize("kind", ["KilledForTheThirdTime", "TooLongAfterIt"])
def test_what_has_completed_has_not_failed_whatever_became_of_its_process(
    store: Store, kind: str
) -> None:
    handle = getattr(store.jobs, kind)(item=kind).dispatch()
    worker = store.shop.work()
    assert store.items() == [kind]
    assert handle.status().state is State.COMPLETED
    assert store.endings(handle)[-1] == "completed"
    assert not (store.shop.folder / "failed").exists(), "failed() was called"
    assert (worker.output.count(" DONE"), worker.output.count(" FAIL")) == (1, 0)


@on_two
def test_killed_with_its_child(store: Store) -> None:
    for kind in ("kills_all", "child_killed_inside", "child_killed_after"):
        handle = getattr(store.jobs, kind).dispatch(item=kind)
        store.shop.work()
        assert handle.status().state is State.COMPLETED
        assert store.endings(handle)[-1] == "completed"
    assert store.items() == ["child_killed_after", "child_killed_inside", "kills_all"]


@pytest.mark.slow  # its timeouts are short, and a machine that runs all tests beside it is not
@on_two
def test_a_timeout_inside_rolls_back_and_after_it_undoes_nothing(store: Store) -> None:
    kinds = ("too_long_in_process", "too_long_in_thread", "too_long_on_loop")
    inside = [getattr(store.jobs, kind).dispatch(item="never", inside=True) for kind in kinds]
    store.shop.work("--grace=5")
    assert store.items() == []
    for handle in inside:
        status = handle.status()
        assert (status.state, status.error and status.error.type) == ("failed", "JobTimedOut"), (
            status.error.traceback
        )
    after = [getattr(store.jobs, kind).dispatch(item=kind, inside=False) for kind in kinds]
    worker = store.shop.work("--grace=5")
    assert store.items() == sorted(kinds)
    assert {handle.status().state for handle in after} == {State.COMPLETED}
    assert {tuple(store.endings(handle)) for handle in after} == {("completed",)}
    assert worker.output.count("completed in its own transaction; what followed raised") == 3


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_dispatch_beside_the_block_is_refused_in_a_process_too(store: Store) -> None:
    handle = store.jobs.dispatches_beside.dispatch(item="tea")
    store.shop.work()
    assert (handle.status().result, store.items()) == ("refused", ["tea"])
