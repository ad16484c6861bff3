"""Where composed jobs go: one connection, failover, and the store that has the batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabur import ConfigError, JobContext
from tabur.drivers.contract import Driver
from tabur.errors import StoreUnreachable
from tabur.worker.inline import drain
from tests.composing.mill import Mill


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    made = Mill(
        "failover",
        failover=["database", "memory"],
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
    )
    made.jobs.migrate()
    yield made
    made.jobs.close()


def test_all_of_it_goes_to_the_first_that_can_be_reached(mill: Mill) -> None:
    handle = mill.jobs.chain(mill.grind("a"), mill.grind("b")).dispatch()
    assert handle.connection == "database"
    assert mill.work() == ["a", "b"]


def test_more_goes_to_where_the_batch_is(mill: Mill) -> None:
    batch = mill.jobs.batch([mill.grind("a")]).options(connection="failover").dispatch()
    elsewhere = mill.jobs.batch([mill.grind("b")]).on_connection("memory").dispatch()
    for handle in (batch, elsewhere):
        assert handle.add([mill.grind("more")]) == 1
        assert handle.status().total == 2
    assert elsewhere.connection == "memory"
    found = mill.jobs.find_batch(elsewhere.id)
    assert found is not None
    assert found.connection == "memory"
    assert [each.connection for each in mill.jobs.batches()] == ["memory", "database"]


def test_failed_over_it_is_added_to_there(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    memory: Driver = mill.jobs.driver_of("memory")

    def away() -> int:
        raise StoreUnreachable("The network is away.")

    monkeypatch.setattr(mill.jobs.driver_of("database"), "now", away)
    batch = mill.jobs.batch([mill.grind("a")]).dispatch()
    assert batch.connection == "memory"
    monkeypatch.undo()
    assert batch.add([mill.grind("b")]) == 1
    drain(mill.jobs.runtime_of("memory"))
    assert mill.ran == ["a", "b"]
    assert memory.inspection.queues() == []


def test_added_from_inside_on_sync_runs_at_once() -> None:
    mill = Mill("sync")

    @mill.jobs.job()
    def split(ctx: JobContext) -> None:
        assert ctx.batch is not None
        ctx.batch.add([mill.grind("a"), mill.grind("b")])
        assert mill.ran == ["a", "b"]

    handle = mill.jobs.batch([split()]).then(mill.grind("then")).dispatch()
    assert mill.ran == ["a", "b", "then"]
    assert handle.status().total == 3


def test_a_job_for_elsewhere_is_not_added(mill: Mill) -> None:
    batch = mill.jobs.batch([mill.grind("a")]).on_connection("database").dispatch()
    with pytest.raises(ConfigError, match="to several"):
        batch.add([mill.grind("b"), mill.grind.options(connection="memory")("c")])
