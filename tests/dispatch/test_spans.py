"""Spans begin when the store takes the job, by the store's clock; moments are moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tabur import FunctionJob, StoreUnavailable, Tabur
from tabur.dispatch.outgoing import Outgoing
from tabur.dispatch.routes import StoreRoute
from tabur.drivers.memory.driver import MemoryDriver
from tabur.errors import StoreUnreachable
from tabur.jobs.scope import NOBODY
from tabur.model.clock import SECOND, moment_us, now_us
from tabur.model.records import JobRecord, decode_options

#: Seconds by which the store's clock is ahead of this machine's.
AHEAD = 3600.0
THEN = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def job() -> FunctionJob[[], None]:
    return Tabur(connection="memory").job(name="work", expires=60, retry_until=600)(lambda: None)


class Store:
    """A store an hour ahead, whose clock stands still."""

    def __init__(self) -> None:
        self.now = now_us() + int(AHEAD * SECOND)
        self.driver = MemoryDriver(clock=lambda: self.now)
        self.route = StoreRoute(lambda: self.driver, queue="default")

    def took(self, pending: Any) -> JobRecord:
        outgoing = Outgoing(pending, NOBODY)
        self.now += SECOND  # what is on its way takes its time
        self.route.send([outgoing])
        kept = self.driver.inspection.find(outgoing.id)
        assert kept is not None
        return kept


def test_they_begin_by_the_clock_of_the_store(job: FunctionJob[[], None]) -> None:
    store = Store()
    kept = store.took(job().options(delay=5))
    assert (kept.created_at, kept.due_at) == (store.now, store.now + 5 * SECOND)
    options = decode_options(kept.options)
    assert options.expires == store.now + 60 * SECOND
    assert options.retry_until == store.now + 600 * SECOND


def test_what_a_dispatch_gives_counts_before_the_declaration(job: FunctionJob[[], None]) -> None:
    store = Store()
    spans = decode_options(store.took(job().options(expires=7, retry_until=8)).options)
    assert spans.expires == store.now + 7 * SECOND
    assert spans.retry_until == store.now + 8 * SECOND
    given = job().options(expires=7).options(expires=THEN, retry_until=THEN, at=THEN)
    kept = store.took(given)
    moments = decode_options(kept.options)
    assert {moments.expires, moments.retry_until, kept.due_at} == {moment_us(THEN)}
    again = decode_options(store.took(given.options(expires=7)).options)
    assert again.expires == store.now + 7 * SECOND


def test_a_clock_that_cannot_be_asked_means_that_nothing_was_sent(
    job: FunctionJob[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()

    def silent() -> int:
        raise StoreUnavailable("it did not answer.")

    monkeypatch.setattr(store.driver, "now", silent)
    with pytest.raises(StoreUnreachable, match="Nothing was dispatched"):
        store.route.send([Outgoing(job(), NOBODY)])
    assert not store.driver.inspection.queues()
