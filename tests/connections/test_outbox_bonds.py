"""The outbox: batches, and jobs that wait for each other, come to the other store at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from tabur.drivers.memory.driver import MemoryDriver
from tabur.drivers.outbox.driver import OutboxDriver
from tabur.drivers.outbox.outbox import CHUNK, DOUBTFUL, Outbox
from tabur.errors import ConfigError, SchemaMissing, StoreUnavailable
from tabur.model.batches import NewBatch
from tabur.model.bonds import Bonds
from tabur.model.clock import now_us
from tabur.model.ids import new_id
from tabur.model.records import DispatchOptions, NewJob, encode
from tabur.model.states import Isolation, State


class Shop:
    """An outbox in a SQLite file, before a store in memory; nothing is relayed by itself."""

    def __init__(self, folder: Path) -> None:
        self.now = now_us()
        self.store = MemoryDriver(clock=lambda: self.now)
        outbox = Outbox(f"sqlite:///{folder}/shop.sqlite3", "memory", clock=lambda: self.now)
        self.driver = OutboxDriver(self.store, outbox)
        self.engine: Engine = create_engine(f"sqlite:///{folder}/shop.sqlite3")

    def put(self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()) -> None:
        with self.engine.begin() as connection:
            self.driver.dispatch_in(connection, jobs, batches)

    def rows(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM job_outbox")).scalar_one())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    monkeypatch.setattr(shop.driver._relayer, "soon", lambda: None)
    shop.driver.migrate()
    yield shop
    shop.driver.close()
    shop.engine.dispose()


def job(*, batch: bytes | None = None, next: Sequence[bytes] = (), blockers: int = 0) -> NewJob:
    bonds = Bonds(batch=batch, next=tuple(next)) if batch or next else None
    return NewJob(
        id=new_id(),
        name="confirm",
        queue="default",
        isolation=Isolation.THREAD,
        payload=b"{}",
        created_at=1,
        blockers=blockers,
        options=encode(DispatchOptions(bonds=bonds)) if bonds else b"",
    )


def batch_of(count: int) -> tuple[list[NewJob], NewBatch]:
    then = job(blockers=1)
    batch = NewBatch(new_id(), "Import", created_at=1, next=(then.id,))
    return [*(job(batch=batch.id) for _ in range(count)), then], batch


def test_a_batch_comes_with_all_its_jobs_in_one_dispatch(shop: Shop) -> None:
    jobs, batch = batch_of(CHUNK + 50)
    shop.put([job()])
    shop.put(jobs, [batch])
    shop.put([job()])
    seen: list[tuple[int, int]] = []
    dispatch = shop.store.dispatching.dispatch

    def watched(jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()) -> object:
        seen.append((len(jobs), len(batches)))
        return dispatch(jobs, batches)

    shop.store.dispatching.dispatch = watched  # type: ignore[assignment, method-assign]  # watched
    assert shop.driver.relay() == len(jobs) + 2
    assert (len(jobs), 1) in seen
    assert shop.rows() == 0
    found = shop.store.batches.find(batch.id)
    assert found is not None
    assert (found.total, found.pending) == (CHUNK + 50, CHUNK + 50)


def test_jobs_that_wait_for_each_other_come_at_once(shop: Shop) -> None:
    last = job(blockers=1)
    first = job(next=[last.id])
    shop.put([first, last])
    assert shop.driver.relay() == 2
    assert _state(shop, first) is State.PENDING
    assert _state(shop, last) is State.BLOCKED


def test_where_the_answer_is_lost_it_comes_again_and_is_there_once(shop: Shop) -> None:
    jobs, batch = batch_of(3)
    shop.put(jobs, [batch])
    dispatch = shop.store.dispatching.dispatch

    def lost(jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()) -> object:
        dispatch(jobs, batches)
        raise StoreUnavailable("the answer was lost")

    shop.store.dispatching.dispatch = lost  # type: ignore[assignment, method-assign]  # cut off
    with pytest.raises(StoreUnavailable):
        shop.driver.relay()
    shop.store.dispatching.dispatch = dispatch  # type: ignore[method-assign]  # as it was
    shop.now += DOUBTFUL + 1
    assert shop.driver.relay() == len(jobs)
    found = shop.store.batches.find(batch.id)
    assert found is not None
    assert (found.total, shop.rows()) == (3, 0)


def test_it_vanishes_with_the_callers_transaction(shop: Shop) -> None:
    jobs, batch = batch_of(3)
    with shop.engine.connect() as connection:
        shop.driver.dispatch_in(connection, jobs, [batch])
        connection.rollback()
    assert shop.driver.relay() == 0
    assert shop.driver.batches.find(batch.id) is None


def test_a_batch_is_known_and_can_be_cancelled_from_its_commit_on(shop: Shop) -> None:
    jobs, batch = batch_of(3)
    shop.put(jobs, [batch])
    found = shop.driver.batches.find(batch.id)
    assert found is not None
    assert (found.name, found.total, found.pending) == ("Import", 3, 3)
    assert shop.driver.inspection.find(batch.id) is None
    waits = shop.driver.inspection.find(jobs[-1].id)
    assert waits is not None
    assert waits.state is State.BLOCKED
    assert shop.driver.batches.cancel(batch.id)
    assert shop.driver.batches.cancelled([batch.id]) == {batch.id}
    assert not shop.driver.batches.cancel(new_id())


def test_a_job_of_another_batch_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="after_commit=True"):
        shop.put([job(batch=new_id())])
    assert shop.rows() == 0


def test_a_table_of_the_version_before_is_brought_up(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("DROP INDEX job_outbox_head"))
        connection.execute(text("ALTER TABLE job_outbox DROP COLUMN head"))
    with pytest.raises(SchemaMissing, match="tabur migrate"):
        shop.put([job()])
    assert shop.driver.migrate() == ["job_outbox"]
    assert shop.driver.migrate() == []
    shop.put([job()])
    assert shop.driver.relay() == 1


def _state(shop: Shop, job: NewJob) -> State:
    found = shop.store.inspection.find(job.id)
    assert found is not None
    return found.state
