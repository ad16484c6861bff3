"""Batches: counts, callbacks, adding, cancelling, retrying, finding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tabur import BatchHandle, BatchNotFound, ConfigError, JobContext, State
from tabur.model.batches import CALLED_OFF
from tabur.model.ids import new_id
from tests.composing.mill import Mill


def batch_of(mill: Mill, *names: str, allow_failures: bool = False) -> BatchHandle:
    """With one callback of each kind."""
    return (
        mill.jobs.batch(map(mill.grind, names), name="Import", allow_failures=allow_failures)
        .then(mill.look("then"))
        .catch(mill.look("catch"))
        .finally_(mill.look("finally"))
        .dispatch()
    )


def counts(handle: BatchHandle) -> tuple[int, int, int, int]:
    status = handle.status()
    return status.pending, status.completed, status.failed, status.cancelled


def test_then_and_finally_follow_when_all_has_completed(mill: Mill) -> None:
    handle = batch_of(mill, "a", "b")
    assert counts(handle) == (2, 0, 0, 0)
    assert mill.work() == ["a", "b", "finally", "then"]
    status = handle.status()
    assert (status.name, status.total, status.succeeded) == ("Import", 2, True)
    assert mill.seen["then"]["previous"] == ["A", "B"]
    assert {mill.seen[each]["batch"] for each in ("then", "finally")} == {handle.id}


def test_the_first_failure_is_caught_and_calls_the_rest_off(mill: Mill) -> None:
    mill.broken = {"b"}
    handle = batch_of(mill, "a", "b", "c", "d")
    assert mill.work() == ["a", "b", "catch", "finally"]
    assert counts(handle) == (0, 1, 1, 2)
    assert handle.cancelled
    assert [each.status().state for each in handle.jobs()][:2] == [State.CANCELLED] * 2
    (failed,) = handle.failed_jobs()
    assert failed.status().name == "grind"
    first = next(handle.jobs()).status()
    assert first.error is not None
    assert (first.error.message, first.attempt) == (CALLED_OFF, 0), "it has lost no attempt"


def test_where_failures_are_allowed_the_rest_goes_on(mill: Mill) -> None:
    mill.broken = {"a", "b"}
    handle = batch_of(mill, "a", "b", "c", allow_failures=True)
    assert sorted(mill.work()) == ["a", "b", "c", "catch", "finally"]
    assert counts(handle) == (0, 1, 2, 0)
    assert not handle.cancelled
    assert not handle.status().succeeded


def test_retry_brings_back_what_failed_and_what_was_called_off(mill: Mill) -> None:
    mill.broken = {"b"}
    handle = batch_of(mill, "a", "b", "c")
    mill.work()
    mill.broken.clear()
    assert handle.retry_failed() == 2
    assert counts(handle) == (2, 1, 0, 0)
    assert mill.work() == ["b", "c", "then"], "finally has run, and once is enough"
    assert handle.status().succeeded
    assert handle.retry_failed() == 0


def test_a_cancelled_batch_begins_no_more_jobs(mill: Mill) -> None:
    handle = batch_of(mill, "a", "b")
    assert handle.cancel()
    assert not handle.cancel()
    assert handle.cancelled
    assert mill.work() == ["finally"]
    assert counts(handle) == (0, 0, 0, 2)
    assert handle.retry_failed() == 2
    assert mill.work() == ["a", "b", "then"]


def test_only_those_of_cancelled_batches_are_called_off(mill: Mill) -> None:
    off, on = batch_of(mill, "off"), batch_of(mill, "on")
    mill.grind.dispatch("plain")
    off.cancel()
    assert sorted(mill.work()) == ["finally", "finally", "on", "plain", "then"]
    assert on.status().succeeded


def test_a_worker_asks_once_for_a_turn_and_never_for_plain_jobs(
    mill: Mill, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    batches = mill.jobs.driver.batches
    inner: Callable[..., frozenset[bytes]] = batches.cancelled

    def cancelled(batch_ids: list[bytes]) -> frozenset[bytes]:
        asked.append(len(batch_ids))
        return inner(batch_ids)

    monkeypatch.setattr(batches, "cancelled", cancelled)
    mill.grind.dispatch("plain")
    mill.work()
    assert asked == []
    mill.jobs.batch([mill.grind("a")]).dispatch()
    mill.work()
    assert asked == [1]


def test_jobs_are_added_from_inside_and_counted(mill: Mill) -> None:
    @mill.jobs.job()
    def split(ctx: JobContext) -> None:
        assert ctx.batch is not None
        assert not ctx.batch.cancelled
        chain = mill.jobs.chain(mill.grind("c"), mill.grind("d"))
        assert ctx.batch.add([mill.grind("a"), mill.grind("b"), chain]) == 4
        assert ctx.batch.status().total == 5

    handle = mill.jobs.batch([split()]).then(mill.look("then")).on_queue("bulk").dispatch()
    assert mill.work() == ["a", "b", "c", "d", "then"]
    assert {each.status().queue for each in handle.jobs()} == {"bulk"}
    assert handle.status().completed == 5


def test_a_finished_batch_takes_no_more(mill: Mill) -> None:
    handle = mill.jobs.batch([mill.grind("a")]).dispatch()
    assert handle.add([]) == 0
    mill.work()
    with pytest.raises(ConfigError, match="takes no more jobs"):
        handle.add([mill.grind("b")])
    assert mill.work() == []
    chain = mill.jobs.chain(mill.grind("a")).dispatch()
    with pytest.raises(ConfigError, match="takes no more jobs"):
        chain.add([mill.grind("b")])


def test_a_chain_is_a_member_whose_jobs_are_counted(mill: Mill) -> None:
    chain = mill.jobs.chain(mill.grind("a"), mill.look("b"))
    handle = mill.jobs.batch([chain, mill.grind("c")]).then(mill.grind("then")).dispatch()
    assert sorted(mill.work()) == ["a", "b", "c", "then"]
    assert handle.status().total == 3
    assert mill.seen["b"]["previous"] == "A"


def test_a_batch_of_nothing_has_finished(mill: Mill) -> None:
    handle = batch_of(mill)
    assert handle.status().finished
    assert handle.progress().percent is None
    assert mill.work() == ["finally", "then"]


def test_what_a_batch_cannot_hold_is_refused(mill: Mill) -> None:
    jobs, grind = mill.jobs, mill.grind
    inner = jobs.batch([grind("a")])
    nested: list[Any] = [inner]
    with pytest.raises(ConfigError, match="is no job"):
        jobs.batch(nested)
    with pytest.raises(ConfigError, match="batch within a batch"):
        jobs.batch([jobs.chain(grind("b"), inner)]).dispatch()
    with pytest.raises(ConfigError, match="name="):
        jobs.batch([grind("a")], name="two\nlines")


def test_wait_ends_with_the_batch(mill: Mill) -> None:
    handle = mill.jobs.batch([mill.grind("a"), mill.grind("b")]).dispatch()
    with pytest.raises(TimeoutError, match="still 2 jobs"):
        handle.wait(0.01)
    progress = handle.progress()
    assert (progress.done, progress.total, progress.percent) == (0, 2, 0)
    mill.work()
    assert handle.wait(5).succeeded
    assert asyncio.run(handle.wait_async(5)).percent == 100


def test_dispatched_away_from_the_loop(mill: Mill) -> None:
    handle = asyncio.run(mill.jobs.batch([mill.grind("a")]).dispatch_async())
    assert handle.status().total == 1
    chain = asyncio.run(mill.jobs.chain(mill.grind("b"), mill.grind("c")).dispatch_async())
    assert mill.work() == ["a", "b", "c"]
    assert chain.status().succeeded


def test_batches_are_found_and_listed(mill: Mill) -> None:
    ids = [mill.jobs.batch([mill.grind("a")], name=f"n{n}").dispatch().id for n in range(3)]
    found = mill.jobs.find_batch(ids[0])
    assert found is not None
    assert found.status().name == "n0"
    assert [each.name for each in mill.jobs.batches(limit=2)] == ["n2", "n1"]
    assert mill.jobs.find_batch(str(new_id().hex())) is None
    assert mill.jobs.find_batch("no id") is None
    assert mill.jobs.find_workflow(ids[0]) is None


def test_a_batch_that_is_gone_says_so(mill: Mill) -> None:
    handle = mill.jobs.batch([]).dispatch()
    mill.jobs.driver.batches.prune(before=mill.jobs.driver.now() + 1, limit=9)
    with pytest.raises(BatchNotFound, match="retention"):
        handle.status()
    assert not handle.cancelled
