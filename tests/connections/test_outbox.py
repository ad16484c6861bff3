"""The outbox: jobs for another store commit with the caller's rows, and then come there once."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tabur import ConfigError, FunctionJob, IdempotencyConflict, JobNotFound, State, Tabur
from tabur.drivers.contract import Filter
from tabur.drivers.memory.driver import MemoryDriver
from tabur.drivers.outbox.driver import OutboxDriver
from tabur.drivers.outbox.outbox import DOUBTFUL, LEFT_ALONE, Outbox
from tabur.errors import SchemaMissing, StoreUnavailable, StoreUnreachable
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import id_bytes
from tabur.worker.inline import drain
from tests.connections.stores import UNKNOWN, UNREACHABLE, Faulty, break_dispatch, size

ORDER = text("INSERT INTO orders VALUES (NULL)")


class Shop:
    """An app on memory, whose own data is in a SQLite file with the outbox."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shop.sqlite3"
        self.url = f"sqlite:///{self.file}"
        self.jobs = Tabur(connection="memory", outbox_url=self.url)
        self.engine: Engine = create_engine(self.url)
        self.confirm: FunctionJob[..., int] = self.jobs.job(name="confirm")(_confirm)

    @property
    def driver(self) -> OutboxDriver:
        driver = self.jobs.driver
        assert isinstance(driver, OutboxDriver)
        return driver

    def rows(self) -> int:
        with sqlite3.connect(self.file) as file:
            count = file.execute("SELECT count(*) FROM job_outbox").fetchone()[0]
        file.close()
        return int(count)

    def orders(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())


def _confirm(order_id: int) -> int:
    return order_id


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


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


@pytest.fixture
def still(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Nothing is relayed by itself."""
    monkeypatch.setattr(shop.driver._relayer, "soon", lambda: None)
    return shop


# with the caller's transaction


def test_the_job_commits_with_the_order_and_comes_to_its_store(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(ORDER)
        handle = shop.confirm.options(session=session).dispatch(order_id=7)
        with pytest.raises(JobNotFound):
            handle.status()
    assert handle.status().state is State.PENDING
    assert shop.orders() == 1
    until(lambda: size(shop.jobs, "memory") == 1 and shop.rows() == 0)
    drain(shop.jobs.runtime)
    assert (handle.connection, handle.result()) == ("memory", 7)


def test_a_chain_commits_with_the_order_and_comes_whole(shop: Shop) -> None:
    confirm = shop.confirm
    batch = shop.jobs.batch([confirm(order_id=2), confirm(order_id=3)])
    with Session(shop.engine) as session, session.begin():
        session.execute(ORDER)
        chain = shop.jobs.chain(confirm(order_id=1), batch, confirm(order_id=4))
        handle = chain.options(session=session).dispatch()
    until(lambda: size(shop.jobs, "memory") == 4 and shop.rows() == 0)
    drain(shop.jobs.runtime)
    status = handle.status()
    assert (status.completed, status.succeeded) == (4, True)


def test_the_job_vanishes_with_the_order(still: Shop) -> None:
    with Session(still.engine) as session:
        session.execute(ORDER)
        still.confirm.options(session=session).dispatch(order_id=1)
        session.rollback()
        session.execute(ORDER)
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            still.confirm.options(session=session).dispatch(order_id=2)
            raise ZeroDivisionError
        session.commit()
    assert (still.orders(), still.rows(), still.driver.relay()) == (1, 0, 0)


@pytest.mark.parametrize("commit", [True, False])
def test_connections_and_async_sessions_serve_as_well(shop: Shop, commit: bool) -> None:
    with shop.engine.connect() as connection:
        connection.execute(ORDER)
        shop.confirm.options(session=connection).dispatch(order_id=1)
        connection.commit() if commit else connection.rollback()

    async def order() -> None:
        engine = create_async_engine(
            shop.url.replace("sqlite:", "sqlite+aiosqlite:"), poolclass=NullPool
        )
        async with AsyncSession(engine) as session:
            await session.execute(ORDER)
            await shop.confirm.options(session=session).dispatch_async(order_id=2)
            await (session.commit() if commit else session.rollback())
        async with engine.connect() as connection:
            await connection.execute(ORDER)
            await shop.confirm.options(session=connection).dispatch_async(order_id=3)
            await (connection.commit() if commit else connection.rollback())
        await engine.dispose()

    asyncio.run(order())
    until(lambda: size(shop.jobs, "memory") == (3 if commit else 0))
    assert shop.orders() == (3 if commit else 0)


def test_many_keep_their_order(still: Shop) -> None:
    with Session(still.engine) as session, session.begin():
        configured = still.confirm.options(session=session)
        handles = still.jobs.dispatch_many(configured(order_id=n) for n in range(1200))
    assert still.driver.relay() == 1200
    drain(still.jobs.runtime)
    began = [handle.status().started_at for handle in handles]
    assert began == sorted(began, key=str)


def test_delay_queue_and_owner_are_kept(still: Shop) -> None:
    with still.jobs.scope(tenant="acme", user="7", locale="ar"), Session(still.engine) as session:
        configured = still.confirm.options(session=session, delay=60, queue="mail", tries=4)
        handle = configured.dispatch(order_id=1)
        session.commit()
    waiting = handle.status()
    still.driver.relay()
    assert (waiting.state, waiting.queue, waiting.tenant) == (State.SCHEDULED, "mail", "acme")
    assert handle.status() == waiting


def test_what_stands_in_the_outbox_can_be_called_back(still: Shop) -> None:
    with Session(still.engine) as session, session.begin():
        handle = still.confirm.options(session=session).dispatch(order_id=1)
    assert handle.cancel()
    assert handle.status().state is State.CANCELLED


def test_a_key_leads_to_one_job_before_and_after_the_relay(still: Shop) -> None:
    def order(order_id: int) -> str:
        with Session(still.engine) as session, session.begin():
            configured = still.confirm.options(session=session, idempotency_key="order-1")
            return configured.dispatch(order_id=order_id).id

    ids = [order(1), order(1)]
    with pytest.raises(IdempotencyConflict):
        order(2)
    still.driver.relay()
    ids.append(order(1))
    still.driver.relay()
    with pytest.raises(IdempotencyConflict):
        order(2)
    assert len(set(ids)) == 1
    assert (size(still.jobs, "memory"), still.rows()) == (1, 0)


# what may go wrong


@pytest.fixture
def faulty(still: Shop, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    return break_dispatch(still.driver._driver, monkeypatch)


def put(shop: Shop, count: int = 1) -> None:
    with Session(shop.engine) as session, session.begin():
        configured = shop.confirm.options(session=session)
        shop.jobs.dispatch_many(configured(order_id=n) for n in range(count))


def test_a_store_that_cannot_be_reached_fails_no_request(still: Shop, faulty: Faulty) -> None:
    faulty.error = UNREACHABLE
    put(still, 3)
    with pytest.raises(StoreUnreachable):
        still.driver.relay()
    assert still.rows() == 3
    faulty.error = None
    assert still.driver.relay() == 3  # at once: certainly none of them had been sent


def test_a_lost_answer_doubles_nothing(still: Shop, faulty: Faulty) -> None:
    faulty.error = UNKNOWN
    put(still, 3)
    with pytest.raises(StoreUnavailable):
        still.driver.relay()
    faulty.error = None
    assert still.driver.relay() == 0  # somebody may be bringing them
    later = Outbox(still.url, "memory", clock=lambda: now_us() + LEFT_ALONE + SECOND)
    assert later.relay(still.driver._driver) == 3
    assert (size(still.jobs, "memory"), still.rows()) == (3, 0)
    later.close()


def test_two_relays_at_once_are_harmless(still: Shop) -> None:
    outboxes = [Outbox(still.url, "memory") for _ in range(4)]
    brought: list[int] = []
    barrier = threading.Barrier(4)

    def relay(outbox: Outbox) -> None:
        barrier.wait()
        for _ in range(20):
            try:
                brought.append(outbox.relay(still.driver._driver))
            except StoreUnavailable:  # SQLite: somebody else writes
                continue

    put(still, 700)
    threads = [threading.Thread(target=relay, args=(each,)) for each in outboxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert size(still.jobs, "memory") == 700
    assert still.rows() == 0
    for each in outboxes:
        each.close()


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = now_us()

    def __call__(self) -> int:
        return self.now


def test_what_was_never_sent_is_sent_once_however_old(
    still: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    put(still)
    days_later = Outbox(still.url, "memory", clock=lambda: now_us() + 3 * 86_400 * SECOND)
    with caplog.at_level(logging.WARNING):
        assert days_later.relay(still.driver._driver) == 1
    assert caplog.messages == []
    days_later.close()


@pytest.mark.parametrize("known", [True, False])
def test_what_may_have_been_sent_long_ago_is_asked_for_first(
    still: Shop, faulty: Faulty, known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    outbox = Outbox(still.url, "memory", clock=clock)
    put(still)
    faulty.error = UNKNOWN
    with pytest.raises(StoreUnavailable):
        outbox.relay(still.driver._driver)
    faulty.error = None
    drain(still.jobs.runtime)  # it had come there, and has run
    store = still.driver._driver
    (record,) = store.inspection.list(Filter(), limit=2)
    if not known:
        store.dispatching.forget_one(record.id)  # and was forgotten
    # In between somebody tried and failed: the first moment counts.
    clock.now += LEFT_ALONE + SECOND
    faulty.error = UNREACHABLE
    with pytest.raises(StoreUnreachable):
        outbox.relay(store)
    faulty.error = None
    clock.now += DOUBTFUL
    with caplog.at_level(logging.WARNING):
        outbox.relay(store)
    assert still.rows() == 0
    found = store.inspection.find(record.id)
    assert found is not None  # never lost
    if known:
        assert (found.state, caplog.messages) == (State.COMPLETED, [])
    else:
        assert found.state is State.PENDING
        assert "it runs a second time" in caplog.text
    outbox.close()


def test_one_bad_row_holds_up_no_other(still: Shop, caplog: pytest.LogCaptureFixture) -> None:
    put(still, 2)
    with still.engine.begin() as connection:
        connection.execute(text("UPDATE job_outbox SET job = x'00' WHERE seq = 1"))
    assert still.driver.relay() == 1
    assert "Row 1 of the outbox" in caplog.text
    assert (size(still.jobs, "memory"), still.rows()) == (1, 1)


def test_two_apps_share_a_database_and_not_their_jobs(still: Shop) -> None:
    other = Outbox(still.url, "redis other")
    put(still)
    assert other.relay(MemoryDriver()) == 0
    assert other.count() == 0
    assert still.driver.relay() == 1
    other.close()


def test_while_the_store_is_away_the_outbox_tells_what_waits(
    still: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(still.engine) as session, session.begin():
        handle = still.confirm.options(session=session).dispatch(order_id=1)
    elsewhere = still.confirm.dispatch(order_id=2)
    monkeypatch.setattr(still.driver._driver.inspection, "find", _unavailable)
    record = still.driver.inspection.find(id_bytes(handle.id))
    assert record is not None
    assert record.state is State.PENDING
    with pytest.raises(StoreUnavailable):
        still.driver.inspection.find(id_bytes(elsewhere.id))
    # And a key that cannot be compared now fails no request.
    with Session(still.engine) as session, session.begin():
        still.confirm.options(session=session, idempotency_key="k").dispatch(order_id=3)


# in the background


def test_a_relay_that_fails_says_so_once_and_goes_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = break_dispatch(shop.driver._driver, monkeypatch)
    faulty.error = UNREACHABLE
    shop.driver.keep_relaying(0.01)
    put(shop)
    until(lambda: faulty.asked > 3)
    faulty.error = None
    until(lambda: shop.rows() == 0)
    until(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "Jobs wait in the outbox, and are brought later: it cannot be reached",
        "Jobs are brought from the outbox again",
    ]


def test_closed_it_relays_again_when_it_is_needed(shop: Shop) -> None:
    put(shop)
    until(lambda: shop.rows() == 0)
    shop.jobs.close()
    assert not [each for each in threading.enumerate() if each.name == "tabur-outbox"]
    put(shop)
    until(lambda: shop.rows() == 0)


# settings


def test_without_an_outbox_its_setting_is_named(tmp_path: Path) -> None:
    jobs = Tabur(connection="memory")
    confirm = jobs.job(name="confirm")(_confirm)
    engine = create_engine(f"sqlite:///{tmp_path}/shop.sqlite3")
    with (
        Session(engine) as session,
        pytest.raises(ConfigError, match=r"outbox_url \(TABUR_OUTBOX_URL\).*after_commit=True"),
    ):
        confirm.options(session=session).dispatch(order_id=1)
    engine.dispose()


def test_a_session_on_another_database_is_refused(shop: Shop, tmp_path: Path) -> None:
    other = create_engine(f"sqlite:///{tmp_path}/other.sqlite3")
    with (
        Session(other) as session,
        pytest.raises(ConfigError, match=r"other\.sqlite3, and the outbox is in .*shop\.sqlite3"),
    ):
        shop.confirm.options(session=session).dispatch(order_id=1)
    other.dispose()


def test_before_migrate_it_says_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    with Session(shop.engine) as session, pytest.raises(SchemaMissing, match="tabur migrate"):
        shop.confirm.options(session=session).dispatch(order_id=1)
    with pytest.raises(SchemaMissing, match="tabur migrate"):
        shop.driver.relay()
    assert shop.jobs.migrate() == ["job_outbox"]
    assert shop.jobs.migrate() == []
    assert "0 waiting" in shop.driver.check()["outbox"]
    shop.jobs.close()
    shop.engine.dispose()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "TABUR_OUTBOX_URL is not a URL"),
        ("sqlite://", "names no file"),
        ("oracle://scott:tiger@h/d", "TABUR_OUTBOX_URL names oracle; an outbox is kept in SQLite"),
    ],
)
def test_urls_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Tabur(connection="memory", outbox_url=url).migrate()
    assert "tiger" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "column"),
    [
        ("sqlite:///x.sqlite3", "seq INTEGER NOT NULL"),
        ("postgresql+asyncpg://u:secret@h/d", "id BYTEA NOT NULL"),
        ("mysql://u:secret@h/d", "id BINARY(16) NOT NULL"),
        ("mariadb+asyncmy://u:secret@h/d", "job BLOB(16777215) NOT NULL"),
    ],
)
def test_the_table_on_every_engine(url: str, column: str) -> None:
    outbox = Outbox(url, "redis tabur")
    table, *indexes = outbox.script()
    assert column in table
    assert indexes == [
        "CREATE INDEX job_outbox_head ON job_outbox (head)",
        "CREATE INDEX job_outbox_id ON job_outbox (id)",
    ]
    assert "secret" not in str(outbox)


def _unavailable(job_id: bytes) -> None:
    raise StoreUnavailable("it is away")
