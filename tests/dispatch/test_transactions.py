"""Dispatch in the caller's own transaction: the job commits or vanishes with the caller's rows."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from time import monotonic

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tabur import ConfigError, IdempotencyConflict, Tabur
from tabur.errors import DispatchWouldBlock
from tests.dispatch.shops import ORDER, Shop, confirm

on_sqlite = pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
on_servers = pytest.mark.parametrize("shop", ["postgresql", "mysql"], indirect=True)


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


@pytest.mark.parametrize("commit", [True, False])
def test_a_chain_with_a_batch_commits_or_vanishes_with_the_order(shop: Shop, commit: bool) -> None:
    jobs, confirm = shop.jobs, shop.confirm
    batch = jobs.batch([confirm(order_id=n) for n in range(3)]).then(confirm(order_id=4))
    chain = jobs.chain(confirm(order_id=1), batch, confirm(order_id=5)).catch(confirm(order_id=6))
    with Session(shop.engine) as session:
        session.execute(ORDER)
        handle = chain.options(session=session).dispatch()
        assert shop.waiting() == 0
        (session.commit if commit else session.rollback)()
    # Two in the chain itself, three in the batch, its `then`; a `catch` for each of both.
    assert (shop.orders(), shop.waiting()) == ((1, 8) if commit else (0, 0))
    assert (jobs.find_batch(handle.id) is not None) is commit
    if commit:
        assert handle.status().pending == 5


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
    shop.confirm.options(session=session).dispatch(order_id=1)  # type: ignore[arg-type]  # the point
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


@on_sqlite
def test_a_plain_dispatch_inside_ones_own_write_raises_at_once(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(ORDER)
        with pytest.raises(DispatchWouldBlock, match="session=session"):
            shop.confirm.dispatch(order_id=1)
    shop.confirm.dispatch(order_id=2)
    assert shop.waiting() == 1


@on_servers
def test_a_plain_dispatch_beside_ones_own_write_goes_its_own_way(shop: Shop) -> None:
    with Session(shop.engine) as session:
        session.execute(ORDER)
        shop.confirm.options(session=session).dispatch(order_id=1)
        shop.confirm.dispatch(order_id=2)
        assert shop.waiting() == 1
        session.rollback()
    assert (shop.orders(), shop.waiting()) == (0, 1)


def test_a_plain_dispatch_beside_an_open_read_goes_through(shop: Shop) -> None:
    with Session(shop.engine) as session, session.begin():
        session.execute(text("SELECT * FROM orders"))
        shop.confirm.dispatch(order_id=1)
    assert shop.waiting() == 1


@pytest.mark.parametrize("with_tables", [False, True])
def test_another_database_is_refused_with_the_reason(shop: Shop, with_tables: bool) -> None:
    url = shop.another_database()
    if with_tables:
        other_jobs = Tabur(database_url=url)
        other_jobs.migrate()
        other_jobs.close()
    other = create_engine(url)
    with Session(other) as session:
        with pytest.raises(ConfigError, match=r"cannot span both.*after_commit=True"):
            shop.confirm.options(session=session).dispatch(order_id=1)
        session.execute(text("SELECT 1"))  # the session is in order
    other.dispose()
    assert shop.waiting() == 0


@on_servers
def test_another_engine_is_refused_with_the_reason(shop: Shop, tmp_path: Path) -> None:
    other = create_engine(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    with Session(other) as session, pytest.raises(ConfigError, match="cannot span both"):
        shop.confirm.options(session=session).dispatch(order_id=1)
    other.dispose()


@on_servers
def test_the_same_database_by_another_name_of_its_machine_is_the_same(shop: Shop) -> None:
    other = create_engine(make_url(shop.url).set(host="localhost"))
    with Session(other) as session, session.begin():
        session.execute(ORDER)
        shop.confirm.options(session=session).dispatch(order_id=1)
    other.dispose()
    assert (shop.orders(), shop.waiting()) == (1, 1)


def test_a_memory_queue_has_no_transactions(shop: Shop) -> None:
    jobs = Tabur(connection="memory")
    confirm_later = jobs.job(name="confirm")(confirm)
    with Session(shop.engine) as session:
        with pytest.raises(ConfigError, match="after_commit=True"):
            confirm_later.options(session=session).dispatch(order_id=1)
        session.execute(ORDER)
        handle = confirm_later.options(session=session, after_commit=True).dispatch(order_id=1)
        session.commit()
    assert handle.status().state == "pending"


def test_after_commit_needs_to_know_whose(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="whose commit"):
        shop.confirm.options(after_commit=True).dispatch(order_id=1)
    with shop.engine.connect() as connection, pytest.raises(ConfigError, match="Session"):
        shop.confirm.options(session=connection, after_commit=True).dispatch(order_id=1)


def test_what_is_no_session_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="Session, Connection"):
        shop.confirm.options(session="shop").dispatch(order_id=1)  # type: ignore[arg-type]  # the point


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


def _dispatched_meanwhile(shop: Shop, ids: list[str], order_id: int = 1) -> Thread:
    """Another caller, who uses the key while somebody else's transaction holds it."""

    def order() -> None:
        with Session(shop.engine) as session, session.begin():
            session.execute(ORDER)
            configured = shop.confirm.options(session=session, idempotency_key="order-1")
            ids.append(str(configured.dispatch(order_id=order_id).id))

    thread = Thread(target=order)
    thread.start()
    return thread


@pytest.mark.parametrize("commit", [True, False])
def test_a_key_that_two_transactions_use_at_the_same_time(shop: Shop, commit: bool) -> None:
    ids: list[str] = []
    with Session(shop.engine) as session:
        session.execute(ORDER)
        configured = shop.confirm.options(session=session, idempotency_key="order-1")
        first = str(configured.dispatch(order_id=1).id)
        other = _dispatched_meanwhile(shop, ids)
        other.join(0.2)
        assert other.is_alive()  # it waits for what becomes of the first
        (session.commit if commit else session.rollback)()
    other.join()
    assert ids == [first]
    assert (shop.orders(), shop.waiting()) == (2 if commit else 1, 1)


def test_thousands_go_in_one_transaction_with_keys_among_them(shop: Shop) -> None:
    shop.confirm.options(idempotency_key="order-7").dispatch(7)
    with Session(shop.engine) as session, session.begin():
        configured = shop.confirm.options(session=session)
        shop.jobs.dispatch_many(
            (configured.options(idempotency_key=f"order-{n}") if n < 10 else configured)(n)
            for n in range(3000)
        )
    assert shop.waiting() == 3000


# On MySQL nobody is told: workers look by themselves.
@pytest.mark.parametrize("shop", ["sqlite", "postgresql"], indirect=True)
def test_who_listens_is_woken_by_the_commit_and_by_nothing_before(shop: Shop) -> None:
    listener = shop.jobs.driver.listen()
    while listener.wait(0.3):
        pass
    with Session(shop.engine) as session:
        session.execute(ORDER)
        shop.confirm.options(session=session).dispatch(order_id=1)
        assert not listener.wait(0.1)
        session.rollback()
        assert not listener.wait(0.1)
        session.execute(ORDER)
        shop.confirm.options(session=session).dispatch(order_id=1)
        session.commit()
    asked = monotonic()
    assert listener.wait(30)
    assert monotonic() - asked < 5
    listener.close()
