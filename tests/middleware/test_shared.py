"""What middleware in all workers knows together: by many threads on the memory store, and what
becomes of it when nobody needs it any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from sqlalchemy import create_engine, text

from tabur import ConfigError, JobContext, State, Tabur, TaburError
from tabur.drivers.contract import Exchange
from tabur.drivers.memory.driver import MemoryDriver
from tabur.errors import StoreUnavailable
from tabur.jobs.context import ReleaseJob
from tabur.jobs.sessions import Sessions
from tabur.jobs.settling import Backing
from tabur.middleware import (
    InTransaction,
    RateLimited,
    ThrottlesExceptions,
    WithoutOverlapping,
)
from tabur.middleware.shared import LINGER, PREFIX, Remembered, Shared
from tabur.model.clock import SECOND
from tabur.model.ids import new_id, new_token
from tabur.model.records import NewJob
from tabur.model.states import Isolation
from tests.jobs.test_context import Watching


class Bench:
    """A memory store with claimed jobs; each `job()` is one of another worker."""

    def __init__(self) -> None:
        self.driver = MemoryDriver()

    def job(self, *, worker: str = "w1", name: str = "push", attempts: int = 0) -> JobContext:
        new = NewJob(
            id=new_id(),
            name=name,
            queue=worker,
            isolation=Isolation.THREAD,
            payload=b"{}",
            created_at=self.driver.now(),
            attempts=attempts,
        )
        self.driver.dispatching.dispatch([new])
        turn = Exchange(worker, token=new_token(), queues=(worker,), slots={Isolation.THREAD: 1})
        (claimed,) = self.driver.claiming.exchange(turn).claimed
        reporter = Watching()
        reporter.backing = Backing(lambda: self.driver, Sessions(lambda: self.driver), worker)
        return JobContext(claimed, reporter)

    def dies(self, worker: str) -> None:
        self.driver.claiming.release_worker(worker)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def waits(middleware: Any, job: JobContext) -> float:
    """Seconds that a job is told to wait, which is not charged; 0: it has run."""
    try:
        assert middleware.handle(job, lambda job: "ran") == "ran"
    except ReleaseJob as release:
        return -1 if release.charged else release.delay / SECOND
    return 0


def test_of_many_threads_no_more_are_let_in_than_the_limit(bench: Bench) -> None:
    jobs = [bench.job(worker=f"w{n}") for n in range(32)]
    limited = [RateLimited(10, per=3600) for _ in range(4)]  # as in so many processes
    let_in: list[int] = []
    start = threading.Barrier(len(jobs))

    def run(n: int) -> None:
        start.wait()
        if waits(limited[n % 4], jobs[n]) == 0:
            let_in.append(n)

    _in_threads(run, len(jobs))
    assert len(let_in) == 10


def test_of_many_threads_one_at_a_time_is_let_in(bench: Bench) -> None:
    jobs = [bench.job(worker=f"w{n}") for n in range(16)]
    lanes = [WithoutOverlapping() for _ in range(4)]
    inside: list[int] = []
    most: list[int] = []
    start = threading.Barrier(len(jobs))

    def work(job: JobContext) -> None:
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    def run(n: int) -> None:
        start.wait()
        with suppress(ReleaseJob):
            lanes[n % 4].handle(jobs[n], work)

    _in_threads(run, len(jobs))
    assert most
    assert set(most) == {1}


def test_keys_and_names_are_told_apart(bench: Bench) -> None:
    by_tenant = RateLimited(1, per=60, by=lambda job: job.queue)
    assert waits(by_tenant, bench.job(worker="a")) == 0
    assert waits(by_tenant, bench.job(worker="b")) == 0
    assert waits(by_tenant, bench.job(worker="a")) > 0
    assert waits(by_tenant, bench.job(worker="a", name="pull")) == 0
    one, two = RateLimited(1, per=60, name="gateway"), RateLimited(1, per=60, name="gateway")
    assert waits(one, bench.job(name="push")) == 0
    assert waits(two, bench.job(name="pull")) > 0
    lane = WithoutOverlapping("gateway")
    assert waits(lane, bench.job()) == 0, "another kind of middleware is another thing"


def test_the_holder_of_a_key_is_who_has_the_claim(bench: Bench) -> None:
    lane = WithoutOverlapping(release_after=7)
    holder, other = bench.job(worker="w1"), bench.job(worker="w2")

    def meanwhile(job: JobContext) -> str:
        assert waits(lane, other) == 7
        bench.dies("w1")
        assert waits(lane, other) == 0
        assert waits(WithoutOverlapping(), bench.job(worker="w3")) == 0
        return "ran"

    assert lane.handle(holder, meanwhile) == "ran"


def test_who_was_thought_to_be_dead_frees_nothing_of_others(bench: Bench) -> None:
    lane = WithoutOverlapping(release_after=7)
    old, new, late = (bench.job(worker=f"w{n}") for n in range(3))

    def of_the_old(job: JobContext) -> str:
        bench.dies("w0")
        assert lane._take(new, ("job push", ""))
        return "ran"

    assert lane.handle(old, of_the_old) == "ran"
    assert waits(lane, late) == 7, "the new one still has it"


def test_a_key_may_expire_under_its_holder(bench: Bench) -> None:
    lane = WithoutOverlapping(expire_after=0.001)
    holder, other = bench.job(worker="w1"), bench.job(worker="w2")

    def meanwhile(job: JobContext) -> str:
        began = bench.driver.now()
        while bench.driver.now() < began + 1_000:
            pass
        assert waits(lane, other) == 0
        return "ran"

    assert lane.handle(holder, meanwhile) == "ran"


def test_a_breaker_is_shared_and_one_tries_it(bench: Bench) -> None:
    rules: dict[str, Any] = {"decay": 60, "backoff": 0.001, "on": (ConnectionError,)}
    one, two = (ThrottlesExceptions(2, **rules) for _ in range(2))
    trial, other = bench.job(worker="w8"), bench.job(worker="w9")

    def down(job: JobContext) -> None:
        raise ConnectionError("down")

    def odd(job: JobContext) -> None:
        raise KeyError("odd")

    def trying(job: JobContext) -> str:
        assert waits(two, other) >= 1, "while one tries, the others wait"
        bench.dies("w8")
        assert waits(two, other) == 0, "it was the next to try, and has closed it"
        return "ran"

    for breaker, what, error in ((one, down, ConnectionError), (two, odd, KeyError)):
        with pytest.raises(error):
            breaker.handle(bench.job(), what)
    assert waits(ThrottlesExceptions(2, **rules), bench.job()) == 0, "a success: it counts anew"
    for breaker in (one, two):
        with pytest.raises(ConnectionError):
            breaker.handle(bench.job(), down)
    while not _pause_is_over(bench):
        pass
    assert one.handle(trial, trying) == "ran"
    assert waits(one, bench.job()) == 0


def test_where_the_store_does_not_answer_a_job_waits_uncharged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read(prefix: str) -> Any:
        raise StoreUnavailable("gone for a while")

    job = bench.job()
    monkeypatch.setattr(bench.driver.notes, "read", read)
    assert 1 <= waits(RateLimited(1, per=60), job) <= 2
    assert "gone for a while" in caplog.text


def test_what_says_nothing_any_more_is_removed_by_the_way(bench: Bench) -> None:
    notes = bench.driver.notes
    job, shared = bench.job(), Shared("test", Remembered)
    now = bench.driver.now()
    shared.change(job, ("k", ""), lambda _, now: (Remembered(until=now + SECOND), None))
    (ours,) = [each.name for each in notes.read(PREFIX)]
    beside = ours[: len(PREFIX) + 2]
    old = msgspec.msgpack.encode(Remembered(until=now - 2 * LINGER))
    recent = msgspec.msgpack.encode(Remembered(until=now - LINGER // 2))
    for name, value in (("old", old), ("recent", recent), ("odd", b"?")):
        notes.write(beside + name, value, revision=0)
    while any(each.name.endswith("old") for each in notes.read(beside)):
        shared.change(job, ("k", ""), lambda _, now: (Remembered(until=now), None))
    assert {each.name for each in notes.read(PREFIX)} == {ours, beside + "recent", beside + "odd"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: RateLimited(0, per=60),
        lambda: RateLimited(True, per=60),
        lambda: RateLimited(1, per=0),
        lambda: WithoutOverlapping(release_after=0),
        lambda: WithoutOverlapping(expire_after=-1),
        lambda: ThrottlesExceptions(0, 60),
        lambda: ThrottlesExceptions(1, float("nan")),
        lambda: ThrottlesExceptions(1, 60, on=()),
        lambda: ThrottlesExceptions(1, 60, backoff=-1),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


@pytest.fixture
def jobs(tmp_path: Any) -> Iterator[Tabur]:
    app = Tabur(connection="sync", database_url=f"sqlite:///{tmp_path}/shop.sqlite3")
    engine = create_engine(app.settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rows (n INTEGER)"))
    app.use_sessions(engine)
    yield app
    app.close()
    engine.dispose()


def test_on_sync_what_it_dispatches_runs_after_its_commit(jobs: Tabur) -> None:
    seen: list[Any] = []

    @jobs.job()
    def child(n: int) -> None:
        with jobs._sessions.session() as session:
            seen.append((n, list(session.execute(text("SELECT n FROM rows")).scalars())))

    @jobs.job(tries=2, middleware=[InTransaction()])
    def parent(ctx: JobContext) -> str:
        ctx.session.execute(text("INSERT INTO rows VALUES (7)"))
        child.dispatch(n=1)
        jobs.dispatch_many([child(n=2), child(n=3)])
        assert seen == []
        if ctx.attempt == 1:
            ctx.release()
        return "done"

    handle = parent.dispatch()
    assert handle.result() == "done"
    assert seen == [(n, [7]) for n in (1, 2, 3)]


def test_its_session_is_there_only_inside_and_of_its_kind(jobs: Tabur) -> None:
    @jobs.job(middleware=[InTransaction()])
    def inside(ctx: JobContext) -> None:
        ctx.session.execute(text("INSERT INTO rows VALUES (1)"))
        with pytest.raises(TaburError, match="async def"):
            _ = ctx.async_session
        with pytest.raises(TaburError, match="inside ctx"):
            ctx.transaction().__enter__()
        ctx.result = {"kept": "as it was set"}

    @jobs.job()
    def outside(ctx: JobContext) -> None:
        with pytest.raises(TaburError, match="InTransaction"):
            _ = ctx.session

    assert inside.dispatch().result() == {"kept": "as it was set"}
    assert outside.dispatch().status().state is State.COMPLETED


def test_what_asks_the_store_stands_before_it(
    jobs: Tabur, caplog: pytest.LogCaptureFixture
) -> None:
    @jobs.job(tries=9, middleware=[InTransaction(), RateLimited(1, per=60)])
    def turned_round(ctx: JobContext) -> None: ...

    @jobs.job(middleware=[RateLimited(1, per=60), InTransaction()])
    def right(ctx: JobContext) -> None: ...

    with caplog.at_level(logging.CRITICAL):
        error = turned_round.dispatch().status().error
    assert error is not None
    assert "put InTransaction last" in error.message
    assert right.dispatch().status().state is State.COMPLETED


def _pause_is_over(bench: Bench) -> bool:
    now = bench.driver.now()
    values = [msgspec.msgpack.decode(each.value) for each in bench.driver.notes.read(PREFIX)]
    return all(now >= each.get("open_until", 0) for each in values)


def _in_threads(run: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
