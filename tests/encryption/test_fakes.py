"""Encrypted jobs in fakes, which need no key of the app."""

from __future__ import annotations

from typing import Any

import pytest

from tabur import ConfigError, Job, JobContext, Tabur
from tabur.testing import run

KEY = "a key of which nobody else knows 1"
CARD = "4111-1111"


def make(connection: str = "sync", **settings: Any) -> Any:
    app = Tabur(connection, **settings)

    @app.job(encrypted=True, unique=True)
    def pay(card: str) -> str:
        if card == "none":
            raise LookupError
        return card

    @app.job(encrypted=True)
    def read(ctx: JobContext) -> Any:
        return ctx.previous

    @app.job(encrypted=True)
    def book(card: str) -> str:
        return card

    @app.register
    class Refund(Job[str], encrypted=True):
        card: str

        def handle(self, ctx: JobContext) -> str:
            raise LookupError("no such order")

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            refused.append(self.card)

    refused: list[str] = []
    jobs: Any = app
    jobs.pay, jobs.read, jobs.book, jobs.refund, jobs.refused = pay, read, book, Refund, refused
    return jobs


def test_they_run_in_the_fake_without_a_key() -> None:
    jobs = make()
    with jobs.fake() as queue:
        alone = jobs.pay.dispatch(card=CARD)
        assert jobs.pay.dispatch(card=CARD).was_skipped
        chain = jobs.chain(jobs.pay(card=CARD), jobs.read()).dispatch()
        refund = jobs.refund(card=CARD).dispatch()
        assert queue.drain() == 4
        assert alone.result() == jobs.handle(alone.id).result() == CARD
        assert [each.result() for each in chain.jobs()] == [CARD, CARD]
        assert refund.status().error.message == "no such order"
        assert jobs.refused == [CARD]
    with pytest.raises(ConfigError, match="has no key"):
        jobs.pay.dispatch(card=CARD)


def test_its_messages_do_not_show_arguments() -> None:
    jobs = make()
    with jobs.fake() as queue:
        jobs.chain(jobs.pay(card=CARD), jobs.read()).dispatch()
        jobs.batch([jobs.pay(card=CARD)]).dispatch()
        for check in (
            lambda: queue.assert_chained([jobs.pay(card="other"), jobs.read]),
            lambda: queue.assert_batched([jobs.pay(card="other")]),
            lambda: queue.assert_pushed_without_chain(jobs.book),
            queue.assert_nothing_batched,
            queue.assert_nothing_pushed,
        ):
            with pytest.raises(AssertionError) as caught:
                check()
            assert CARD not in str(caught.value)
            assert "other" not in str(caught.value)
        queue.assert_chained([jobs.pay(card=CARD), jobs.read])
        queue.assert_batched([jobs.pay(card=CARD)])


def test_beside_a_partial_fake_they_need_the_key_of_the_app() -> None:
    jobs = make()
    with jobs.fake(only=[jobs.pay]) as queue:
        faked = jobs.pay.dispatch(card=CARD)
        assert jobs.handle(faked.id).status().connection == "fake"
        batch = jobs.batch([jobs.pay(card=CARD + "2")]).dispatch()
        queue.drain()
        assert [each.result() for each in batch.jobs()] == [CARD + "2"]
        with pytest.raises(ConfigError, match="has no key"):
            jobs.book.dispatch(card=CARD)


def test_what_goes_beside_a_partial_fake_opens_without_it() -> None:
    jobs = make(key=KEY)
    with jobs.fake(only=[jobs.pay]) as queue:
        faked = jobs.pay.dispatch(card=CARD)
        real = jobs.book.dispatch(card=CARD)
        queue.drain()
        assert jobs.handle(faked.id).result() == jobs.handle(real.id).result() == CARD
        batch = jobs.batch([jobs.pay(card="2")]).dispatch()
        queue.drain()
        assert [each.result() for each in batch.jobs()] == ["2"]
    assert jobs.handle(real.id).result() == CARD


def test_one_run_needs_no_key() -> None:
    jobs = make()
    assert run(jobs.pay(card=CARD)).result == CARD
    assert jobs.pay(card=CARD).run() == CARD
    refused = run(jobs.refund(card=CARD))
    refused.assert_failed_with(LookupError)
    assert jobs.refused == [CARD]
    with pytest.raises(AssertionError) as caught:
        refused.assert_completed()
    assert CARD not in str(caught.value)
