"""SQLite has one writer: a block is it from its first moment, whatever the client does."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

from tabur import JobContext, State
from tabur.errors import DispatchWouldBlock, StoreUnavailable
from tests.dispatch.shops import ORDER
from tests.transactions.bench import Bench

pytestmark = pytest.mark.parametrize("bench", ["sqlite"], indirect=True)


def _begun_by_hand(url: str) -> Engine:
    """As SQLAlchemy's own pages advise for savepoints that hold."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _(raw: Any, record: object) -> None:
        raw.isolation_level = None

    @event.listens_for(engine, "begin")
    def _(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


#: What may be told to Python's client, and to SQLAlchemy, about who begins a transaction.
CONTROLS: dict[str, Callable[[str], Engine]] = {
    "as it is": create_engine,
    "none begun": lambda url: create_engine(url, connect_args={"isolation_level": None}),
    "begun by hand": _begun_by_hand,
    "AUTOCOMMIT": lambda url: create_engine(url, isolation_level="AUTOCOMMIT"),
    "EXCLUSIVE": lambda url: create_engine(url, connect_args={"isolation_level": "EXCLUSIVE"}),
}
if sys.version_info >= (3, 12):
    CONTROLS["PEP 249"] = lambda url: create_engine(url, connect_args={"autocommit": False})


@pytest.fixture(params=CONTROLS)
def engine(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Engine]:
    engine = CONTROLS[request.param](bench.url)
    bench.jobs.use_sessions(engine)
    yield engine
    engine.dispose()


def _may_write(bench: Bench) -> bool:
    """Whether somebody else may, at this moment."""
    other = sqlite3.connect(bench.url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        assert error.sqlite_errorcode == sqlite3.SQLITE_BUSY  # noqa: PT017  # any other is a defect
        return False
    finally:
        other.close()
    return True


def test_the_block_is_the_writer_before_its_first_statement(bench: Bench, engine: Engine) -> None:
    seen: list[bool] = []

    @bench.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction() as session:
            seen.append(_may_write(bench))
            assert session.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0
            session.execute(ORDER)
        seen.append(_may_write(bench))

    handle = order.dispatch()
    bench.work()
    assert (seen, handle.status().state, bench.orders()) == ([False, True], State.COMPLETED, 1)


def test_what_is_rolled_back_is_gone(bench: Bench, engine: Engine) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        if ctx.attempt == 1:
            raise ValueError("no")

    bench.orders_job(inside=inside, tries=2).dispatch()
    bench.work()
    assert (bench.orders(), bench.attempts()) == (1, ["retried", "completed"])


def test_a_claim_that_moved_on_is_found_out(bench: Bench, engine: Engine) -> None:
    stop = bench.stop()
    bench.orders_job(before=stop).dispatch()
    with bench.working("w1"):
        stop.reached()
        bench.jobs.driver.claiming.release_worker("w1")
        bench.work("w2")
        stop.go_on()
    assert (bench.orders(), bench.attempts()) == (1, ["completed"])


def test_a_checkpoint_is_the_writer_too(bench: Bench, engine: Engine) -> None:
    """It reads the claim and then writes: nobody may come between."""
    seen: list[bool] = []

    @bench.jobs.job()
    def load(ctx: JobContext) -> None:
        with Session(engine) as session, session.begin():
            ctx.checkpoint(session, cursor=1)
            seen.append(_may_write(bench))
            session.execute(ORDER)

    handle = load.dispatch()
    bench.work()
    assert (seen, handle.status().state, bench.orders()) == ([False], State.COMPLETED, 1)


def test_a_checkpoint_after_a_read_that_is_outdated_says_so(bench: Bench) -> None:
    reading = _begun_by_hand(bench.url)
    told: list[str] = []

    @bench.jobs.job()
    def load(ctx: JobContext) -> None:
        with Session(reading) as session:
            session.execute(text("SELECT * FROM orders"))
            with bench.engine.begin() as other:
                other.execute(ORDER)
            with pytest.raises(StoreUnavailable) as refused:
                ctx.checkpoint(session, cursor=1)
            told.append(str(refused.value))
            session.rollback()
            ctx.checkpoint(session, cursor=2)
            session.commit()

    handle = load.dispatch()
    bench.work()
    reading.dispose()
    assert handle.status().state is State.COMPLETED
    assert "this transaction began with a read, and another has written since" in told[0]


def test_who_waits_too_long_for_the_lock_is_told(bench: Bench) -> None:
    impatient = create_engine(bench.url, connect_args={"timeout": 0.1})
    told: list[str] = []

    @bench.jobs.job()
    def order(ctx: JobContext) -> None:
        with bench.engine.begin() as other:
            other.execute(ORDER)
            with pytest.raises(StoreUnavailable) as refused, ctx.transaction(impatient):
                pass
            told.append(str(refused.value))
        with ctx.transaction(impatient) as session:
            session.execute(ORDER)

    handle = order.dispatch()
    bench.work()
    impatient.dispose()
    assert (handle.status().state, bench.orders()) == (State.COMPLETED, 2)
    assert "jobs.install(engine)" in told[0]


@pytest.mark.parametrize("contended", [False, True])
def test_a_dispatch_beside_the_block_raises_and_does_not_wait_for_itself(
    bench: Bench, contended: bool
) -> None:
    """Also where the thread that settles waits for the block already, and holds the lock by which
    this process writes one after another."""
    plain = create_engine(bench.url)  # not installed
    others = threading.Thread(target=lambda: bench.confirm.dispatch(order_id=1))

    @bench.jobs.job()
    def order(ctx: JobContext) -> None:
        with ctx.transaction(plain) as session:
            session.execute(ORDER)
            if contended:
                others.start()
                others.join(0.2)
                assert others.is_alive()
            with pytest.raises(DispatchWouldBlock, match="session=session"):
                bench.confirm.dispatch(order_id=2)

    handle = order.dispatch()
    bench.work()
    if contended:
        others.join()
    plain.dispose()
    assert (handle.status().state, bench.orders()) == (State.COMPLETED, 1)


def test_processes_that_write_at_once_wait_for_each_other(bench: Bench, tmp_path: Path) -> None:
    """No "database is locked", though each block reads before it writes."""
    program = f"""
from sqlalchemy import text
from tests.transactions.bench import Bench
bench = Bench({bench.url!r}, None, None)
bench.jobs.install(bench.engine)
@bench.jobs.job(name="count")
def count(ctx):
    with ctx.transaction() as session:
        n = session.execute(text("SELECT count(*) FROM orders")).scalar_one()
        session.execute(text(f"INSERT INTO orders VALUES ('tea {{n:03}}')"))
import sys
bench.work(sys.argv[1])
"""

    @bench.jobs.job(name="count")
    def count(ctx: JobContext) -> None: ...

    bench.jobs.dispatch_many(count() for _ in range(60))
    workers = [subprocess.Popen([sys.executable, "-c", program, f"w{n}"]) for n in range(3)]
    assert [each.wait(50) for each in workers] == [0, 0, 0]
    assert bench.items() == [f"tea {n:03}" for n in range(60)]
    assert bench.attempts() == ["completed"] * 60
