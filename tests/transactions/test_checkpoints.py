"""`ctx.checkpoint()`: a cursor that commits with its chunk, and only for who has the claim."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from tabur import ClaimLost, JobContext, State
from tabur.drivers.contract import Claiming, Exchange
from tabur.model.ids import new_token
from tabur.model.states import Isolation
from tabur.worker.options import WorkOptions
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import completed, prepare
from tests.dispatch.shops import ORDER
from tests.transactions.bench import Bench, on_servers, taken


def test_a_checkpoint_commits_with_its_chunk_and_the_next_attempt_goes_on(bench: Bench) -> None:
    def inside(ctx: JobContext, session: Session) -> None:
        written = bench.orders()
        seen.append((ctx.attempt, written))
        if ctx.attempt < 3 and written == ctx.attempt:
            raise ValueError("broken off")

    seen: list[tuple[int, int]] = []
    handle = bench.imports_job(chunks=4, inside=inside, tries=3).dispatch()
    bench.work()
    assert handle.status().state is State.COMPLETED
    assert bench.items() == ["tea 0", "tea 1", "tea 2", "tea 3"]
    assert seen == [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]


@on_servers
@taken
def test_stopped_inside_a_chunk_it_writes_nothing_of_it(
    bench: Bench, take: Callable[[Claiming], int]
) -> None:
    stop = bench.stop()
    handle = bench.imports_job(
        chunks=4, inside=lambda ctx, _: stop() if bench.orders() == 2 else None
    ).dispatch()
    with bench.working("w1"):
        stop.reached()
        assert take(bench.jobs.driver.claiming) == 1
        bench.work("w2")
        stop.go_on()
    assert bench.items() == ["tea 0", "tea 1", "tea 2", "tea 3"]
    assert bench.finishers(handle.id) == [("completed", "w2")]


@taken
def test_stopped_between_two_chunks_it_writes_no_more(
    bench: Bench, take: Callable[[Claiming], int]
) -> None:
    stop = bench.stop()
    handle = bench.imports_job(
        chunks=4, between=lambda ctx: stop() if bench.orders() == 2 else None
    ).dispatch()
    with bench.working("w1"):
        stop.reached()
        assert take(bench.jobs.driver.claiming) == 1
        bench.work("w2")
        stop.go_on()
    assert bench.items() == ["tea 0", "tea 1", "tea 2", "tea 3"]
    assert bench.finishers(handle.id) == [("completed", "w2")]


@pytest.mark.parametrize("bench", ["sqlite", "postgresql", "mysql"], indirect=True)
@pytest.mark.parametrize("of", ["session", "connection"])
def test_who_swallows_the_error_commits_nothing_either(bench: Bench, of: str) -> None:
    lost: list[str] = []

    @bench.jobs.job()
    def careless(ctx: JobContext) -> None:
        bench.jobs.driver.claiming.release_worker("w1")
        place = Session(bench.engine) if of == "session" else bench.engine.connect()
        with place, place.begin():
            place.execute(ORDER)
            try:
                ctx.checkpoint(place, cursor=1)
            except ClaimLost as error:
                lost.append(str(error))
        if len(lost) == 1:
            with Session(bench.engine) as again, pytest.raises(ClaimLost):
                ctx.checkpoint(again, cursor=1)

    handle = careless.options(queue="aside").dispatch()
    _run_once(bench)
    assert len(lost) == 1
    assert bench.orders() == 0
    assert handle.status().state is State.PENDING


def _run_once(bench: Bench) -> None:
    """Claim what is aside and run it, as worker w1; nobody claims it again."""
    runtime = bench.jobs.runtime
    claim = Exchange("w1", token=new_token(), queues=["aside"], slots={Isolation.THREAD: 1})
    (job,) = runtime.driver.claiming.exchange(claim).claimed
    run = prepare(job, runtime.registry, WorkOptions(), StoreReporter(runtime, "w1"), 0)
    completed(run, run.definition.call(run.ctx, run.arguments))


def test_an_operators_retry_goes_on_from_the_cursor(bench: Bench) -> None:
    broken = [True]

    def inside(ctx: JobContext, session: Session) -> None:
        if broken[0] and bench.orders() == 2:
            raise ValueError("broken off")

    handle = bench.imports_job(chunks=3, inside=inside).dispatch()
    bench.work()
    assert handle.status().state is State.FAILED
    broken[0] = False
    assert handle.retry()
    bench.work()
    assert handle.status().state is State.COMPLETED
    assert bench.items() == ["tea 0", "tea 1", "tea 2"]


def test_chunks_first_and_a_transaction_at_the_end(bench: Bench) -> None:
    @bench.jobs.job(tries=2)
    def load(ctx: JobContext) -> int:
        for n in range(ctx.cursor or 0, 2):
            with Session(bench.engine) as session, session.begin():
                session.execute(ORDER)
                ctx.checkpoint(session, cursor=n + 1)
        with ctx.transaction(bench.engine) as session:
            session.execute(ORDER)
            ctx.result = ctx.cursor
            if ctx.attempt == 1:
                raise ValueError("broken off")
        return int(ctx.result)

    handle = load.dispatch()
    bench.work()
    assert (handle.result(), bench.orders()) == (2, 3)


CURSORS: list[tuple[object, str]] = [
    (float("nan"), "JSON has no such number"),
    ((1, 2), "would come back as"),
    ({1: 2}, "would come back as"),
    (object(), "cannot be kept"),
    ("x" * 70_000, "65,536 are allowed"),
]


@pytest.mark.parametrize("bench", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("cursor", "told"), CURSORS, ids=[told for _, told in CURSORS])
def test_a_cursor_that_would_not_come_back_as_it_is_is_refused(
    bench: Bench, cursor: object, told: str
) -> None:
    @bench.jobs.job()
    def load(ctx: JobContext) -> None:
        with Session(bench.engine) as session, session.begin():
            session.execute(ORDER)
            ctx.checkpoint(session, cursor=cursor)

    handle = load.dispatch()
    bench.work()
    error = handle.status().error
    assert error is not None
    assert (error.type, bench.orders()) == ("PayloadError", 0)
    assert told in error.message
