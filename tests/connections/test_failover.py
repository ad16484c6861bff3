"""The connection `failover`: the next store only when nothing was sent to the one before."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from servers.redis import RedisServer
from tabur import ConfigError, FunctionJob, StoreUnavailable, Tabur
from tabur.dispatch.outgoing import Outgoing
from tabur.dispatch.routes import REST, FailoverRoute, StoreRoute
from tabur.drivers.memory.driver import MemoryDriver
from tabur.errors import StoreUnreachable
from tabur.jobs.scope import NOBODY
from tests.connections.stores import UNKNOWN, UNREACHABLE, Faulty, break_dispatch, size

Job = FunctionJob[[], None]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Tabur]:
    app = Tabur(
        connection="failover",
        failover=["memory", "database"],
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
    )
    app.migrate()
    yield app
    app.close()


@pytest.fixture
def job(app: Tabur) -> Job:
    @app.job()
    def work() -> None: ...

    return work


@pytest.fixture
def first(app: Tabur, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    return break_dispatch(app.driver_of("memory"), monkeypatch)


def test_the_first_gets_the_jobs(app: Tabur, job: Job) -> None:
    assert job.dispatch().connection == "memory"
    assert size(app, "database") == 0


def test_one_that_cannot_be_reached_is_passed_over(app: Tabur, job: Job, first: Faulty) -> None:
    first.error = UNREACHABLE
    handle = job.dispatch()
    assert handle.connection == "database"
    assert handle.status().connection == "database"
    assert app.handle(handle.id).status().connection == "database"
    assert [each.connection for each in app.dispatch_many([job(), job()])] == ["database"] * 2


def test_one_that_does_not_answer_may_have_got_it(app: Tabur, job: Job, first: Faulty) -> None:
    first.error = UNKNOWN
    with pytest.raises(StoreUnavailable, match="does not answer"):
        job.dispatch()
    assert (size(app, "memory"), size(app, "database")) == (1, 0)


def test_when_none_can_be_reached_the_last_says_why(
    app: Tabur, job: Job, first: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.error = UNREACHABLE
    break_dispatch(app.driver_of("database"), monkeypatch).error = UNREACHABLE
    with pytest.raises(StoreUnreachable):
        job.dispatch()


def test_each_change_is_said_once(
    job: Job, first: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tabur.dispatch"):
        job.dispatch()
        first.error = UNREACHABLE
        for _ in range(3):
            job.dispatch()
    assert caplog.messages == ["Failover: jobs go to database now: it cannot be reached"]


def test_one_that_could_not_be_reached_rests_and_is_asked_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    drivers = MemoryDriver(name="one"), MemoryDriver(name="two")
    faulty = [break_dispatch(driver, monkeypatch) for driver in drivers]
    routes = [StoreRoute(partial(drivers.__getitem__, n), queue="default") for n in range(2)]
    route = FailoverRoute(routes, clock=lambda: now[0])
    faulty[0].error = UNREACHABLE
    assert [route.send([]).driver.name for _ in range(3)] == ["two"] * 3
    assert faulty[0].asked == 1
    faulty[0].error = None
    now[0] += REST + 1
    assert route.send([]).driver.name == "one"
    assert caplog.messages[-1] == "Failover: jobs go to one again"
    # When all the others fail, one that rests is asked before giving up.
    faulty[0].error = UNREACHABLE
    assert route.send([]).driver.name == "two"
    faulty[0].error, faulty[1].error = None, UNREACHABLE
    assert route.send([]).driver.name == "one"


def test_a_job_on_its_default_queue_goes_to_that_of_its_store(tmp_path: Path) -> None:
    drivers = {name: MemoryDriver(name=name) for name in ("redis", "database")}
    app = Tabur(failover=["redis", "database"], redis_queue="fast")
    settings = app.settings
    routes = [
        StoreRoute(partial(drivers.__getitem__, name), queue=settings.queue_on(name))
        for name in drivers
    ]
    job = Outgoing(app.job(name="work")(lambda: None)(), NOBODY)
    FailoverRoute(routes).send([job])
    FailoverRoute(routes[::-1]).send([job])
    queues = {name: [each.queue for each in drivers[name].inspection.queues()] for name in drivers}
    assert queues == {"redis": ["fast"], "database": ["default"]}


def test_a_transaction_is_kept_by_the_first_that_can(app: Tabur, job: Job) -> None:
    engine = create_engine(app.settings.database_url)
    app.install(engine)
    with Session(engine) as session, session.begin():
        handle = job.options(session=session).dispatch()
    assert handle.connection == "database"
    assert handle.status().queue == "default"
    engine.dispose()


def test_after_commit_the_handle_finds_where_it_went(app: Tabur, job: Job, first: Faulty) -> None:
    engine = create_engine(app.settings.database_url)
    with Session(engine) as session:
        handle = job.options(session=session, after_commit=True).dispatch()
        first.error = UNREACHABLE
        session.connection()
        session.commit()
    assert handle.status().connection == "database"
    engine.dispose()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"connection": "failover"}, "failover=.'redis', 'database'., or QUEUE_FAILOVER="),
        ({"connection": "failover", "failover": ["redis"]}, "two connections or more"),
        ({"failover": ["redis", "failover"]}, "failover is no store"),
        ({"failover": ["redis", "rabbit"]}, "failover='rabbit' is not known"),
        ({"failover": 3}, "failover=3: a list"),
        ({"connections": [3]}, "a list of connections"),
    ],
)
def test_what_cannot_work_is_said(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tabur(**settings)  # type: ignore[arg-type]  # the point


def test_redis_dies_and_comes_back(
    tmp_path: Path, require: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require("redis-server")
    monkeypatch.setattr("tabur.dispatch.routes.REST", 0.0)
    with RedisServer.start() as redis:
        app = Tabur(
            connection="failover",
            failover=["redis", "database"],
            redis_url=redis.url(),
            database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
        )
        app.migrate()

        @app.job()
        def work() -> None: ...

        assert work.dispatch().connection == "redis"
        redis.kill()
        with contextlib.suppress(StoreUnavailable):  # the connection of before: it may have got it
            work.dispatch()
        handles = [work.dispatch() for _ in range(3)]
        assert [each.connection for each in handles] == ["database"] * 3
        assert app.handle(handles[0].id).status().connection == "database"
        redis.restart()
        assert work.dispatch().connection == "redis"
        app.close()
