"""Moving what waits from one store to another; nothing is lost, nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from tabur import State, StoreUnavailable, Tabur
from tabur.drivers.contract import Driver, Exchange
from tabur.drivers.memory.driver import MemoryDriver
from tabur.errors import ConfigError, StoreUnreachable
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import new_id, new_token
from tabur.model.records import NewJob
from tabur.model.states import Isolation
from tabur.operations import moving
from tabur.operations.moving import Moving
from tests.connections.stores import UNKNOWN, UNREACHABLE, break_dispatch

Stores = tuple[MemoryDriver, MemoryDriver]


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setattr(moving, "CHUNK", 10)
    return MemoryDriver(name="source"), MemoryDriver(name="target")


def fill(driver: Driver, count: int, **given: object) -> list[bytes]:
    jobs = [
        NewJob(new_id(), "work", "default", Isolation.LOOP, b"{}", now_us()) for _ in range(count)
    ]
    jobs = [replace(job, **given) for job in jobs]
    driver.dispatching.dispatch(jobs)
    return [job.id for job in jobs]


def states(driver: Driver, ids: Sequence[bytes]) -> set[State | None]:
    found = [driver.inspection.find(each) for each in ids]
    return {None if record is None else record.state for record in found}


def claim(driver: Driver, count: int) -> Sequence[bytes]:
    turn = Exchange(
        worker="w", token=new_token(), queues=["default"], slots={Isolation.LOOP: count}
    )
    return [job.id for job in driver.claiming.exchange(turn).claimed]


def test_all_that_waits_is_moved_in_order(stores: Stores) -> None:
    source, target = stores
    ids = fill(source, 35)
    later = fill(source, 5, due_at=now_us() + 60 * SECOND)
    assert Moving(source, target).run() == moving.Moved(40, 0, 0, 0)
    assert states(source, ids + later) == {None}
    assert (states(target, ids), states(target, later)) == ({State.PENDING}, {State.SCHEDULED})
    assert claim(target, 35) == ids


def test_what_stays_is_told(stores: Stores) -> None:
    source, target = stores
    fill(source, 4)
    running = claim(source, 3)
    blocked = fill(source, 2, blockers=1)
    assert Moving(source, target).run() == moving.Moved(1, 0, blocked=2, processing=3)
    assert states(source, running) == {State.PROCESSING}
    assert states(source, blocked) == {State.BLOCKED}


def test_one_queue_and_a_limit(stores: Stores) -> None:
    source, target = stores
    mail, files = fill(source, 25, queue="mail"), fill(source, 5, queue="files")
    assert Moving(source, target, queue="mail", limit=12).run().moved == 12
    assert states(target, mail[:12]) == {State.PENDING}
    assert states(source, mail[12:] + files) == {State.PENDING}
    assert Moving(source, target, queue="files").run().moved == 5


def test_counters_are_taken_along(stores: Stores) -> None:
    source, target = stores
    (job_id,) = fill(source, 1, attempts=2, crashes=1)
    Moving(source, target).run()
    record = target.inspection.find(job_id)
    assert record is not None
    assert (record.attempts, record.crashes) == (2, 1)


def test_a_target_that_cannot_be_reached_leaves_all_where_it_was(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stores
    ids = fill(source, 15)
    faulty = break_dispatch(target, monkeypatch)
    for error in (UNREACHABLE, ConfigError("no")):
        faulty.error = None
        monkeypatch.setattr(faulty, "dispatch", _raise(error))
        with pytest.raises(type(error)):
            Moving(source, target).run()
        assert states(source, ids) == {State.PENDING}
        assert list(source.transfer.taken_out()) == []


def test_a_lost_answer_is_finished_by_the_next_move(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stores
    ids = fill(source, 15)
    faulty = break_dispatch(target, monkeypatch)
    faulty.error = UNKNOWN
    with pytest.raises(StoreUnavailable):
        Moving(source, target).run()
    assert states(source, ids[:10]) == {State.BLOCKED}  # they run nowhere twice
    # A worker of the target has run some of them meanwhile.
    ran = claim(target, 3)
    faulty.error = None
    assert Moving(source, target).run() == moving.Moved(15, 10, 0, 0)
    assert len(claim(target, 100)) == 12
    assert states(target, ran) == {State.PROCESSING}
    assert states(source, ids) == {None}


def test_an_earlier_moves_jobs_are_never_put_back(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = stores
    ids = fill(source, 5)
    source.transfer.take_out(None, limit=10)
    faulty = break_dispatch(target, monkeypatch)
    faulty.error = None
    monkeypatch.setattr(faulty, "dispatch", _raise(UNREACHABLE))
    with pytest.raises(StoreUnreachable):
        Moving(source, target).run()
    assert states(source, ids) == {State.BLOCKED}


def test_it_can_be_ended_between_chunks(stores: Stores) -> None:
    source, target = stores
    ids = fill(source, 30)
    told: list[int] = []

    def go_on(moved: int) -> bool:
        told.append(moved)
        return moved < 20

    assert Moving(source, target, go_on=go_on).run().moved == 20
    assert told[-1] == 20
    assert states(source, ids[20:]) == {State.PENDING}
    assert list(source.transfer.taken_out()) == []


def test_from_a_database_to_memory_and_back(app: Tabur) -> None:
    @app.job(tries=3)
    def work(n: int) -> None: ...

    handles = [work.options(connection="database").dispatch(n) for n in range(7)]
    database, memory = app.driver_of("database"), app.driver_of("memory")
    assert Moving(database, memory).run().moved == 7
    assert {app.handle(each.id).connection for each in handles} == {"memory"}
    assert Moving(memory, database).run().moved == 7
    assert {app.handle(each.id).status().connection for each in handles} == {"database"}


def _raise(error: Exception) -> Callable[[Sequence[NewJob]], None]:
    def dispatch(jobs: Sequence[NewJob]) -> None:
        raise error

    return dispatch
