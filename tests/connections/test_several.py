"""Several connections in one app: a job goes to the one it names, and is found wherever it is."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tabur import ConfigError, Job, JobContext, JobNotFound, StoreUnavailable, Tabur
from tabur.operations.acting import Acting
from tabur.operations.reading import Reading
from tabur.worker.inline import drain
from tests.connections.stores import UNKNOWN, break_dispatch, break_reading, size


def test_a_job_goes_to_the_default_connection_or_to_its_own(app: Tabur) -> None:
    @app.job()
    def here() -> None: ...

    @app.job(connection="database")
    def there() -> None: ...

    @app.register
    class There(Job[None], connection="database"):
        def handle(self, ctx: JobContext) -> None: ...

    assert here.dispatch().connection == "memory"
    assert there.dispatch().connection == "database"
    assert There().dispatch().connection == "database"
    assert here.options(connection="database").dispatch().connection == "database"
    assert There().options(connection="memory").dispatch().connection == "memory"
    assert (size(app, "memory"), size(app, "database")) == (2, 3)


def test_stores_in_use_are_the_default_the_declared_and_the_named() -> None:
    app = Tabur(connection="redis", connections=["memory"])
    assert list(app.connections) == ["redis", "memory"]

    @app.job(connection="database")
    def there() -> None: ...

    assert list(app.connections) == ["redis", "database", "memory"]
    both = Tabur(connection="failover", failover=["redis", "database"])
    assert (both.connection, both.connections) == ("failover", ("redis", "database"))


def test_what_the_app_does_not_use_is_refused_with_what_to_write() -> None:
    app = Tabur(connection="memory")

    @app.job()
    def here() -> None: ...

    with pytest.raises(ConfigError, match=r"connections=\['database'\], or QUEUE_CONNECTIONS="):
        here.options(connection="database").dispatch()
    with pytest.raises(ConfigError, match="needs to know what to try"):
        here.options(connection="failover").dispatch()
    with pytest.raises(ConfigError, match=r"connection='rabbit' is not known; there are: databa"):
        here.options(connection="rabbit")  # type: ignore[arg-type]  # the point
    with pytest.raises(ConfigError, match=r"^wrong: connection='rabbit' is not known"):

        @app.job(name="wrong", connection="rabbit")  # type: ignore[arg-type]  # the point
        def wrong() -> None: ...


def test_a_handle_finds_its_job_on_whichever_connection_it_is(app: Tabur) -> None:
    @app.job()
    def add(a: int, b: int) -> int:
        return a + b

    first = add.dispatch(1, 2)
    second = add.options(connection="database").dispatch(3, 4)
    assert app.handle(first.id).status().connection == "memory"
    assert app.handle(second.id).status().connection == "database"
    for connection in app.connections:
        drain(app.runtime_of(connection))
    assert [app.handle(each.id).result() for each in (first, second)] == [3, 7]
    assert app.handle(second.id).connection == "database"
    missing = app.handle(uuid4())
    for ask in (missing.status, missing.result, missing.cancel):
        with pytest.raises(JobNotFound):
            ask()
    assert missing.retry() is False


def test_a_store_that_does_not_answer_hides_only_what_is_nowhere_else(
    app: Tabur, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.job()
    def here() -> None: ...

    in_memory = here.dispatch()
    in_database = here.options(connection="database").dispatch()
    faulty = break_reading(app.driver_of("memory"), monkeypatch)
    faulty.error = UNKNOWN
    assert app.handle(in_database.id).status().connection == "database"
    with pytest.raises(StoreUnavailable):
        app.handle(in_memory.id).status()
    faulty.error = None
    break_reading(app.driver_of("database"), monkeypatch).error = UNKNOWN
    assert app.handle(in_memory.id).status().connection == "memory"


def test_many_are_grouped_by_connection_in_the_order_they_were_given(
    app: Tabur, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.job()
    def here(n: int) -> None: ...

    @app.job(connection="database")
    def there(n: int) -> None: ...

    both = [job(n) for n in range(10) for job in (here, there)]
    handles = app.dispatch_many(both)
    assert [each.connection for each in handles] == ["memory", "database"] * 10
    assert [each.status().name for each in handles] == ["here", "there"] * 10
    # Each group has a transaction of its own.
    break_dispatch(app.driver_of("database"), monkeypatch).error = UNKNOWN
    with pytest.raises(StoreUnavailable):
        app.dispatch_many([here(1), there(2)])
    assert size(app, "memory") == 11


def test_a_job_dispatched_by_a_job_goes_to_the_default_connection(app: Tabur) -> None:
    @app.job()
    def inner() -> None: ...

    @app.job(connection="database")
    def outer() -> str:
        return inner.dispatch().connection

    handle = outer.dispatch()
    drain(app.runtime_of("database"))
    assert handle.result() == "memory"


def test_the_default_queue_of_redis() -> None:
    app = Tabur(connection="memory", queue="shop", redis_queue="fast")
    assert app.settings.queue_on("redis") == "fast"
    assert app.settings.queue_on("database") == "shop"
    assert Tabur(queue="shop").settings.queue_on("redis") == "shop"


def test_operators_see_and_reach_all_connections(app: Tabur) -> None:
    @app.job(queue="mail")
    def fail() -> None:
        raise RuntimeError("as always")

    handles = [
        fail.options(connection="database" if n % 2 else "memory").dispatch() for n in range(6)
    ]
    for connection in app.connections:
        drain(app.runtime_of(connection))
    reading, acting = Reading(*app.drivers), Acting(*app.drivers)
    assert [each.id for each in reading.failed()] == [each.id for each in handles[::-1]]
    assert [each.connection for each in reading.failed()] == ["database", "memory"] * 3
    assert reading.failed_count() == 6
    assert reading.job(handles[1].id).connection == "database"
    assert acting.retry(handles[1].id) == handles[1].id
    assert acting.forget(handles[0].id) == handles[0].id
    assert {level.connection for level in reading.queues()} == {"database"}
    assert len(list(acting.retry_failed(queue="mail"))) == 4
    assert {level.connection: level.size for level in reading.queues()} == {
        "memory": 2,
        "database": 3,
    }
    assert acting.flush() == 0


def test_fake_takes_every_connection(app: Tabur) -> None:
    @app.job()
    def here() -> None: ...

    with app.fake() as queue:
        here.options(connection="database").dispatch()
        here.dispatch()
        queue.assert_pushed(here, times=2)
        queue.assert_pushed(here, lambda job: job.settings.connection == "database", times=1)
    assert (size(app, "memory"), size(app, "database")) == (0, 0)


def test_sync_as_a_second_connection_runs_at_once() -> None:
    app = Tabur(connection="memory", connections=["sync"])

    @app.job()
    def double(n: int) -> int:
        return 2 * n

    assert double.options(connection="sync", delay=60).dispatch(21).result() == 42
    assert size(app, "memory") == 0
