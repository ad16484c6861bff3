"""`fake(only=…)` and `fake(except_=…)`: some jobs are recorded, the others go as ever."""

from __future__ import annotations

import asyncio

import pytest

from tabur import ConfigError, State, Tabur

jobs = Tabur(connection="sync")


@jobs.job()
def send(order_id: int) -> int:
    return order_id


@jobs.job()
def book(order_id: int) -> int:
    send.dispatch(order_id)
    return order_id


def test_only_some_are_recorded() -> None:
    with jobs.fake(only=[send]) as queue:
        assert book.dispatch(7).result() == 7
        queue.assert_pushed(send, lambda job: job.args.order_id == 7, times=1)
        queue.assert_not_pushed(book)


def test_all_but_some_are_recorded() -> None:
    with jobs.fake(except_=[book]) as queue:
        assert book.dispatch(7).result() == 7
        assert asyncio.run(book.dispatch_async(8)).result() == 8
        asyncio.run(send.dispatch_async(9))
        assert [job.args.order_id for job in queue.pushed()] == [7, 8, 9]


def test_many_are_divided_and_answered_in_their_order() -> None:
    with jobs.fake(only=[send]) as queue:
        handles = jobs.dispatch_many([book(1), send(2), book(3)])
        assert [each.status().state for each in handles] == [
            State.COMPLETED,
            State.PENDING,
            State.COMPLETED,
        ]
        assert sorted(job.args.order_id for job in queue.pushed()) == [1, 2, 3]


def test_an_id_leads_to_either() -> None:
    with jobs.fake(only=[send]):
        one, other = send.dispatch(7), book.dispatch(8)
        assert jobs.handle(one.id).status().connection == "fake"
        assert jobs.handle(other.id).status().connection == "sync"
    assert jobs.handle(other.id).result() == 8


def test_the_recorded_ones_can_be_run() -> None:
    with jobs.fake(only=[send]) as queue:
        handle = send.dispatch(7)
        assert queue.drain() == 1
        assert handle.result() == 7


def test_one_inside_the_other() -> None:
    with jobs.fake() as outer, jobs.fake(only=[send]) as inner:
        book.dispatch(1)
        send.dispatch(2)
    outer.assert_pushed(book)
    outer.assert_not_pushed(send)
    inner.assert_pushed(send, times=1)


def test_both_at_once_are_refused() -> None:
    with (
        pytest.raises(ConfigError, match="give one of them"),
        jobs.fake(only=[send], except_=[book]),
    ):
        pass
