"""Chains: order, results, what a failure does, batches within, owners and places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tabur import BatchHandle, ConfigError, Job, JobContext, State, Tabur
from tests.composing.mill import Mill


def states(handle: BatchHandle) -> list[State]:
    """Of its jobs, in the order of the chain."""
    return [each.status().state for each in handle.jobs()][::-1]


def test_each_runs_when_the_one_before_has_completed(mill: Mill) -> None:
    grind = mill.grind
    handle = mill.jobs.chain(grind("a"), grind("b"), grind("c")).dispatch()
    assert states(handle) == [State.PENDING, State.BLOCKED, State.BLOCKED]
    assert mill.work() == ["a", "b", "c"]
    status = handle.status()
    assert (status.name, status.total, status.completed) == ("grind → grind → grind", 3, 3)
    assert status.succeeded
    assert status.percent == 100


def test_on_sync_it_has_run_when_dispatch_comes_back() -> None:
    mill = Mill("sync")
    handle = mill.jobs.chain(mill.grind("a"), mill.grind("b")).dispatch()
    assert mill.ran == ["a", "b"]
    assert handle.status().succeeded


def test_the_next_finds_the_result_of_the_one_before(mill: Mill) -> None:
    mill.jobs.chain(mill.count(7), mill.look("after")).dispatch()
    mill.work()
    assert mill.seen["after"]["previous"] == 7


def test_a_result_comes_as_the_type_that_its_job_declares() -> None:
    jobs = Tabur("sync")
    found: list[object] = []

    @jobs.job()
    def pairs() -> set[tuple[int, str]]:
        return {(1, "a"), (2, "b")}

    @jobs.job()
    def take(ctx: JobContext) -> None:
        found.append(ctx.previous)

    jobs.chain(pairs(), take()).dispatch()
    assert found == [{(1, "a"), (2, "b")}]


def test_a_job_that_is_first_or_alone_has_nothing_before_it(mill: Mill) -> None:
    mill.look.dispatch("alone")
    mill.jobs.chain(mill.look("first"), mill.grind("b")).dispatch()
    mill.work()
    assert mill.seen["alone"] == {"batch": None, "previous": None, "results": {}}
    assert mill.seen["first"]["previous"] is None


def test_after_a_failure_none_runs_but_the_catch_once(mill: Mill) -> None:
    mill.broken = {"b"}
    chain = mill.jobs.chain(*(mill.grind(each) for each in "abcd"))
    handle = chain.catch(mill.look("caught"), mill.grind("caught too")).dispatch()
    assert mill.work() == ["a", "b", "caught", "caught too"]
    assert mill.seen["caught"]["batch"] == handle.id
    done, failed, gone = State.COMPLETED, State.FAILED, State.CANCELLED
    assert states(handle) == [done, failed, gone, gone]


def test_what_is_not_needed_of_the_catch_does_not_run(mill: Mill) -> None:
    mill.jobs.chain(mill.grind("a")).catch(mill.grind("caught")).dispatch()
    assert mill.work() == ["a"]
    assert not mill.jobs.driver.inspection.queues()


def test_it_goes_on_after_a_retry(mill: Mill) -> None:
    mill.broken = {"b"}
    handle = mill.jobs.chain(*(mill.grind(each) for each in "abc")).dispatch()
    mill.work()
    mill.broken.clear()
    assert handle.retry_failed() == 1
    assert not handle.status().finished
    assert mill.work() == ["b", "c"]
    assert handle.status().succeeded


def test_what_follows_a_batch_waits_for_all_of_it(mill: Mill) -> None:
    batch = mill.jobs.batch([mill.count(1), mill.count(2)], name="middle")
    handle = mill.jobs.chain(
        mill.grind("a"), batch.then(mill.grind("then")), mill.look("end")
    ).dispatch()
    ran = mill.work()
    assert ran[0] == "a"
    assert sorted(ran[1:3]) == ["1", "2"]
    assert sorted(ran[3:]) == ["end", "then"]
    assert mill.seen["end"]["previous"] == [1, 2]
    assert mill.seen["end"]["batch"] == handle.id
    status = handle.status()
    assert (status.total, status.completed, status.succeeded) == (4, 4, True)


@pytest.mark.parametrize(
    ("broken", "runs", "counts"),
    [
        ("a", ["a", "caught"], (0, 1, 3)),
        ("b", ["a", "b", "caught"], (1, 1, 2)),
        ("d", ["a", "b", "c", "d", "caught"], (3, 1, 0)),
    ],
)
def test_a_failure_before_in_and_after_a_batch_is_caught_once(
    mill: Mill, broken: str, runs: list[str], counts: tuple[int, int, int]
) -> None:
    mill.broken = {broken}
    grind = mill.grind
    handle = (
        mill.jobs.chain(grind("a"), mill.jobs.batch([grind("b"), grind("c")]), grind("d"))
        .catch(grind("caught"))
        .dispatch()
    )
    assert mill.work() == runs
    status = handle.status()
    assert (status.completed, status.failed, status.cancelled) == counts
    mill.broken.clear()
    handle.retry_failed()
    mill.work()
    assert handle.status().succeeded


def test_a_batch_that_may_fail_lets_the_chain_go_on(mill: Mill) -> None:
    mill.broken = {"b"}
    grind = mill.grind
    batch = mill.jobs.batch([grind("b"), grind("c")], allow_failures=True)
    chain = mill.jobs.chain(grind("a"), batch, grind("d")).catch(grind("caught"))
    chain.dispatch()
    assert mill.work() == ["a", "b", "c", "d"]
    mill.broken = {"a"}
    chain.dispatch()
    assert mill.work() == ["a", "caught"], "but not where it never began"
    mill.broken = {"a"}
    mill.jobs.chain(grind("a"), mill.jobs.chain(batch), grind("d")).dispatch()
    assert mill.work() == ["a"], "nor by way of a chain within"


def test_a_chain_within_a_chain(mill: Mill) -> None:
    inner = mill.jobs.chain(mill.grind("b"), mill.grind("c"))
    handle = mill.jobs.chain(mill.grind("a"), inner, mill.grind("d")).dispatch()
    assert mill.work() == ["a", "b", "c", "d"]
    assert handle.status().total == 4


def test_places_of_the_whole_and_of_one(mill: Mill) -> None:
    mill.jobs.chain(mill.grind("a"), mill.grind.options(queue="own")("b")).on_queue("all").delay(
        60
    ).options(tenant="acme", priority=5).catch(mill.grind("c")).dispatch()
    found = {each.queue: each for each in mill.jobs.driver.inspection.queues()}
    assert (found["all"].scheduled, found["all"].blocked) == (1, 1)
    assert (found["own"].scheduled, found["own"].blocked) == (0, 1)
    (status,) = mill.jobs.batches()
    assert status.tenant == "acme"


def test_the_owner_comes_from_the_scope(mill: Mill) -> None:
    with mill.jobs.scope(tenant="acme", user="7"):
        handle = mill.jobs.chain(mill.grind("a"), mill.grind("b")).dispatch()
    status = handle.status()
    assert (status.tenant, status.user) == ("acme", "7")
    assert {each.status().user for each in handle.jobs()} == {"7"}


def test_classes_are_links_too(mill: Mill) -> None:
    @mill.jobs.register
    class Sync(Job[int]):
        shop: int

        def handle(self, ctx: JobContext) -> int:
            mill.ran.append(f"shop {self.shop}")
            return self.shop

    mill.jobs.chain(Sync(shop=1), mill.look("after")).dispatch()
    assert mill.work() == ["shop 1", "after"]
    assert mill.seen["after"]["previous"] == 1


def test_a_thousand_links(mill: Mill) -> None:
    handle = mill.jobs.chain(*(mill.count(n) for n in range(1000))).dispatch()
    assert mill.work() == [str(n) for n in range(1000)]
    assert handle.status().completed == 1000


def test_what_makes_no_sense_is_refused(mill: Mill) -> None:
    jobs, grind = mill.jobs, mill.grind
    other = Tabur("memory", connections=["sync"])
    there = other.job(name="there", connection="sync")(print_nothing)
    here = other.job(name="here")(print_nothing)
    declared: Any = grind
    session: Any = object()
    for_one: dict[str, Any] = {"tries": 3}
    wrong: dict[str, Callable[[], object]] = {
        "no jobs": jobs.chain,
        "is no job": lambda: jobs.chain(declared),
        "catch of its own": lambda: jobs.chain(jobs.chain(grind("a")).catch(grind("b"))).dispatch(),
        "of no jobs in a chain": lambda: jobs.chain(jobs.batch([]), grind("a")).dispatch(),
        "idempotency_key": lambda: jobs.chain(grind("a").options(idempotency_key="k")).dispatch(),
        "session= is for": lambda: jobs.chain(grind("a").options(session=session)).dispatch(),
        "is for single jobs": lambda: jobs.chain(grind("a")).options(**for_one),
        "needs session=": lambda: jobs.chain(grind("a")).options(after_commit=True).dispatch(),
        "to several: memory, sync": lambda: other.chain(here(), there()).dispatch(),
        "for the whole": lambda: jobs.chain(
            jobs.batch([grind("a")]).delay(60), grind("b")
        ).dispatch(),
    }
    for said, do in wrong.items():
        with pytest.raises(ConfigError, match=said):
            do()
    assert not jobs.batches()
    assert other.chain(here(), there()).on_connection("sync").dispatch().status().succeeded


def print_nothing() -> None: ...
