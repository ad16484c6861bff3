"""A worker that has lost its claim writes nothing, wherever it was when it lost it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

from tabur import ClaimLost, Job, JobContext, State
from tabur.drivers.contract import Claiming
from tests.dispatch.shops import ORDER
from tests.transactions.bench import Bench, on_servers, taken

by_threads = pytest.mark.parametrize("bench", ["postgresql", "mysql"], indirect=True)
on_sqlite = pytest.mark.parametrize("bench", ["sqlite", "sqlite+aiosqlite"], indirect=True)


@on_servers
@taken
def test_stopped_inside_the_block_it_writes_nothing(
    bench: Bench, take: Callable[[Claiming], int], caplog: pytest.LogCaptureFixture
) -> None:
    stop = bench.stop()
    handle = bench.orders_job(inside=stop).dispatch()
    with bench.working("w1"):
        stop.reached()
        assert take(bench.jobs.driver.claiming) == 1
        bench.work("w2")
        assert (handle.status().state, bench.orders()) == (State.COMPLETED, 1)
        stop.go_on()
    assert bench.orders() == 1
    assert bench.finishers(handle.id) == [("completed", "w2")]
    assert "was not settled: another worker has it now" in caplog.text


@taken
def test_stopped_before_the_block_it_writes_nothing(
    bench: Bench, take: Callable[[Claiming], int]
) -> None:
    stop = bench.stop()
    handle = bench.orders_job(before=stop).dispatch()
    with bench.working("w1"):
        stop.reached()
        assert take(bench.jobs.driver.claiming) == 1
        bench.work("w2")
        stop.go_on()
    assert bench.orders() == 1
    assert bench.finishers(handle.id) == [("completed", "w2")]


@on_sqlite
def test_on_sqlite_a_rescue_waits_for_the_block(bench: Bench) -> None:
    """Whoever is inside is the one who writes: he cannot lose."""
    stop = bench.stop()
    handle = bench.orders_job(inside=stop).dispatch()
    released: list[int] = []
    rescue = threading.Thread(
        target=lambda: released.append(bench.jobs.driver.claiming.release_worker("w1"))
    )
    with bench.working("w1"):
        stop.reached()
        rescue.start()
        rescue.join(0.2)
        assert rescue.is_alive()
        stop.go_on()
        rescue.join()
    assert released == [0]
    assert (handle.status().state, bench.orders()) == (State.COMPLETED, 1)


@on_servers
def test_stopped_while_its_successor_runs_neither_harms_the_other(bench: Bench) -> None:
    first, second = bench.stop(), bench.stop()

    def inside(ctx: JobContext, session: Session) -> None:
        first()
        if ctx.job.token != tokens[0]:
            second()

    tokens: list[bytes] = []
    handle = bench.orders_job(
        before=lambda ctx: tokens.append(ctx.job.token), inside=inside
    ).dispatch()
    with bench.working("w1"):
        first.reached()
        bench.jobs.driver.claiming.release_worker("w1")
        with bench.working("w2"):
            second.reached()
            first.go_on()
            with bench.engine.connect() as connection:  # w2 has the claim still
                worker = connection.execute(text("SELECT worker FROM job_ready")).scalar_one()
            assert worker == "w2"
            second.go_on()
    assert bench.orders() == 1
    assert bench.finishers(handle.id) == [("completed", "w2")]


@by_threads
def test_who_lost_is_told_and_calls_no_failed(bench: Bench) -> None:
    stop = bench.stop()
    seen: list[str] = []

    @bench.jobs.register
    class Order(Job[None]):
        def handle(self, ctx: JobContext) -> None:
            try:
                with ctx.transaction() as session:
                    session.execute(ORDER)
                    stop()
            except ClaimLost as lost:
                seen.append(str(lost))
                with pytest.raises(ClaimLost), ctx.transaction():
                    pass
                raise ValueError("and something else besides") from lost

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            seen.append("failed()")

    handle = Order().dispatch()
    with bench.working("w1"):
        stop.reached()
        bench.jobs.driver.claiming.release_worker("w1")
        bench.work("w2")
        stop.go_on()
    assert bench.orders() == 1
    assert bench.finishers(handle.id) == [("completed", "w2")]
    (told,) = seen
    assert handle.id in told
    assert "rolled back, and nothing of it was written" in told


@by_threads
@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("reads_first", [True, False])
def test_stricter_isolation_is_fenced_too(bench: Bench, isolation: str, reads_first: bool) -> None:
    """There an engine may answer with an error where the fence would have said no."""
    stop = bench.stop()
    strict = create_engine(bench.url, isolation_level=isolation)
    failed: list[str] = []

    @bench.jobs.register
    class Order(Job[None]):
        def handle(self, ctx: JobContext) -> None:
            with ctx.transaction(strict) as session:
                if reads_first:
                    session.execute(text("SELECT count(*) FROM job_signals"))
                session.execute(ORDER)
                stop()

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            failed.append(str(error))

    handle = Order().dispatch()
    with bench.working("w1"):
        stop.reached()
        bench.jobs.driver.claiming.release_worker("w1")
        bench.work("w2")
        stop.go_on()
    strict.dispose()
    assert bench.orders() == 1
    assert failed == []
    assert bench.finishers(handle.id) == [("completed", "w2")]


@by_threads
def test_transactions_that_cannot_be_put_in_a_row_are_tried_again(bench: Bench) -> None:
    """Two that read what the other writes: one of them is refused, and runs again."""
    strict = create_engine(bench.url, isolation_level="SERIALIZABLE")
    both = threading.Barrier(2)

    @bench.jobs.job(tries=5)
    def count(ctx: JobContext) -> None:
        with ctx.transaction(strict) as session:
            n = session.execute(text("SELECT count(*) FROM orders")).scalar_one()
            if ctx.attempt == 1:
                both.wait(40)
            session.execute(text(f"INSERT INTO orders VALUES ('tea {n}')"))

    for _ in range(2):
        count.dispatch()
    bench.work()
    strict.dispose()
    assert bench.items() == ["tea 0", "tea 1"]
    assert sorted(bench.attempts()) == ["completed", "completed", "retried"]


def test_taken_away_at_any_statement_it_is_done_once(bench: Bench) -> None:
    """Before and after each statement of the block, and before its commit: whoever is first, the
    other writes nothing."""
    taker = Taker(bench)
    order = bench.orders_job(before=taker.watch)
    place = 0
    while taker.took or place == 0:
        handle = order.dispatch()
        taker.take_at(place)
        bench.work("w1", max_jobs=1)
        taker.join()
        bench.work("w2")
        assert handle.status().state is State.COMPLETED, f"at place {place}"
        assert bench.orders() == 1, f"at place {place}"
        assert bench.attempts() == ["completed"]
        bench.empty()
        place += 1
    assert place > 6, "three statements and a commit"


class Taker:
    """Takes the claim of w1 away at one place of its transaction."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._thread: threading.Thread | None = None
        self._left = -1
        for each in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(bench.callers_engine, each, self._look)

    @property
    def took(self) -> bool:
        return self._thread is not None

    def take_at(self, place: int) -> None:
        self._place, self._thread = place, None

    def watch(self, ctx: JobContext) -> None:
        """Its transaction begins now."""
        self._left, self._place = self._place, -1

    def join(self) -> None:
        self._left = -1
        if self._thread is not None:
            self._thread.join()

    def _look(self, *_: object) -> None:
        if self._left == 0:
            self._thread = threading.Thread(target=self._take)
            self._thread.start()
            self._thread.join(0.1)  # it is done, or waits for the transaction to end
        self._left -= 1

    def _take(self) -> None:
        self._bench.jobs.driver.claiming.release_worker("w1")
