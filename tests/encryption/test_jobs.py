"""An encrypted job from its dispatch to its result: the store reads none of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import ConfigError, IdempotencyConflict, Job, JobContext, SealError, State, Tabur
from tabur.drivers.contract import Body, Rewrite
from tabur.events import Event, JobFailed, JobProcessing, JobQueued
from tabur.middleware import Next
from tabur.model.records import JobRecord
from tabur.operations.moving import Moving
from tabur.worker.inline import drain

KEY, OTHER = "a key of which nobody else knows 1", "a key of which nobody else knows 2"
CARD = "4111-1111"


def make(connection: str = "sync", **settings: Any) -> Any:
    """An app that bears its jobs."""
    jobs = Tabur(connection, **({"key": KEY} | settings))

    @jobs.job(encrypted=True)
    def pay(card: str, note: str = "") -> dict[str, str]:
        return {"paid with": card}

    @jobs.register
    class Refund(Job[str], encrypted=True):
        card: str

        def handle(self, ctx: JobContext) -> str:
            raise LookupError("no such order")

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            told.append(self.card)

    told: list[str] = []
    shop: Any = jobs
    shop.pay, shop.refund, shop.told = pay, Refund, told
    return shop


@pytest.fixture(params=["sync", "database"])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    jobs = make(request.param, database_url=f"sqlite:///{tmp_path}/jobs.sqlite3")
    jobs.migrate()
    yield jobs
    jobs.close()


def kept(jobs: Tabur, job_id: str) -> JobRecord:
    record = jobs.driver.inspection.find(bytes.fromhex(job_id.replace("-", "")))
    assert record is not None
    return record


def work(jobs: Tabur) -> None:
    if jobs.connection != "sync":
        drain(jobs.runtime)


def test_arguments_and_result_are_for_the_job_and_its_owner_alone(jobs: Any) -> None:
    handle = jobs.pay.dispatch(card=CARD)
    work(jobs)
    assert handle.result() == handle.status().result == {"paid with": CARD}
    assert jobs.handle(handle.id).result() == {"paid with": CARD}
    record = kept(jobs, handle.id)
    assert CARD not in repr(record)
    assert record.result is not None
    assert record.payload.startswith(b"sealed.1.")
    assert record.result.startswith(b"sealed.1.")


def test_its_failed_is_called_with_its_arguments(jobs: Any) -> None:
    handle = jobs.refund(card=CARD).dispatch()
    work(jobs)
    assert handle.status().state is State.FAILED
    assert jobs.told == [CARD]
    assert CARD not in repr(kept(jobs, handle.id))


def test_no_traceback_holds_the_values_of_variables(jobs: Any) -> None:
    handle = jobs.refund(card=CARD).dispatch()
    work(jobs)
    (attempt,) = jobs.driver.inspection.attempts(bytes.fromhex(handle.id.replace("-", "")))
    assert attempt.error is not None
    assert "raise LookupError" in attempt.error.traceback
    assert CARD not in attempt.error.traceback


def test_jobs_without_it_are_kept_as_they_are() -> None:
    jobs = Tabur("sync", key=KEY)

    @jobs.job()
    def plain(n: int) -> int:
        return n

    record = kept(jobs, plain.dispatch(n=7).id)
    assert (record.payload, record.result) == (b'{"n":7}', b"7")


@pytest.mark.parametrize(("settings", "why"), [({"key": None}, "no key"), ({"key": "x"}, "only 1")])
def test_without_a_good_key_nothing_is_dispatched(settings: dict[str, Any], why: str) -> None:
    jobs: Any = make("memory", **settings)
    with pytest.raises(ConfigError, match=f"pay is encrypted.*{why}.*tabur key:generate"):
        jobs.pay.dispatch(card=CARD)
    assert list(jobs.driver.inspection.queues()) == []


def test_a_missing_key_is_told_before_the_commit_not_after(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    jobs: Any = make("database", database_url=url, key=None)
    jobs.migrate()
    engine = create_engine(url)
    with Session(engine) as session, pytest.raises(ConfigError, match="key:generate"):
        jobs.pay.options(session=session, after_commit=True).dispatch(card=CARD)
    engine.dispose()
    jobs.close()


def test_a_session_of_the_caller_commits_it_encrypted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    jobs: Any = make("database", database_url=url)
    jobs.migrate()
    engine = create_engine(url)
    jobs.install(engine)
    with Session(engine) as session, session.begin():
        handle = jobs.pay.options(session=session).dispatch(card=CARD)
    drain(jobs.runtime)
    assert handle.result() == {"paid with": CARD}
    engine.dispose()
    jobs.close()


def test_a_result_set_in_the_jobs_own_transaction_is_encrypted(tmp_path: Path) -> None:
    jobs = Tabur("database", database_url=f"sqlite:///{tmp_path}/jobs.sqlite3", key=KEY)
    jobs.migrate()

    @jobs.job(encrypted=True)
    def book(ctx: JobContext, card: str) -> None:
        with ctx.transaction():
            ctx.result = card

    handle = book.dispatch(card=CARD)
    drain(jobs.runtime)
    assert kept(jobs, handle.id).state is State.COMPLETED
    assert CARD.encode() not in (kept(jobs, handle.id).result or b"")
    assert jobs.handle(handle.id).result() == CARD
    jobs.close()


def test_what_was_dispatched_before_it_was_declared_runs_and_its_result_is_encrypted(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    before = Tabur("database", database_url=url)
    before.migrate()

    @before.job()
    def pay(card: str) -> None: ...

    after: Any = make("database", database_url=url)
    handle = after.handle(pay.dispatch(card=CARD).id)
    drain(after.runtime)
    assert handle.result() == {"paid with": CARD}
    assert CARD.encode() not in (kept(after, handle.id).result or b"")
    before.close()
    after.close()


def test_another_key_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    jobs: Any = make("database", database_url=url)
    jobs.migrate()
    handle = jobs.pay.dispatch(card=CARD)
    drain(jobs.runtime)
    stranger = make("database", database_url=url, key=OTHER)
    again = stranger.handle(handle.id)
    assert (again.status().state, again.status().result) == (State.COMPLETED, None)
    with pytest.raises(SealError, match="TABUR_PREVIOUS_KEYS"):
        again.result()
    friend = make("database", database_url=url, key=OTHER, previous_keys=[KEY])
    assert friend.handle(handle.id).result() == {"paid with": CARD}
    for each in (jobs, stranger, friend):
        each.close()


@pytest.mark.parametrize(
    "other", [{"id": bytes(16)}, {"name": "refund"}, {"tenant": "acme"}, {"user": "8"}]
)
def test_it_is_bound_to_id_name_and_owner(other: dict[str, Any]) -> None:
    jobs: Any = make("memory")
    handle = jobs.pay.options(tenant="shop", user="7").dispatch(card=CARD)
    record = kept(jobs, handle.id)
    assert CARD.encode() in jobs.seals.opened_payload(record)
    with pytest.raises(SealError, match="belongs to another job"):
        jobs.seals.opened_payload(replace(record, **other))


def test_what_belongs_to_another_job_is_refused() -> None:
    jobs: Any = make("memory")
    first, second = (jobs.pay.dispatch(card=each) for each in (CARD, "another"))
    stolen, there = kept(jobs, first.id), kept(jobs, second.id)
    jobs.driver.transfer.rewrite([Rewrite(there.id, Body.PAYLOAD, there.payload, stolen.payload)])
    drain(jobs.runtime)
    assert first.result() == {"paid with": CARD}
    error = second.status().error
    assert (error.type, second.status().state) == ("SealError", State.FAILED)
    assert "belongs to another job" in error.message
    assert second.status().attempt == 0, "it never started"


def test_a_payload_is_no_result() -> None:
    jobs: Any = make("memory")
    handle = jobs.pay.dispatch(card=CARD)
    drain(jobs.runtime)
    record = kept(jobs, handle.id)
    assert record.result is not None
    jobs.driver.transfer.rewrite([Rewrite(record.id, Body.RESULT, record.result, record.payload)])
    with pytest.raises(SealError, match="was changed"):
        handle.result()


def test_repeating_a_request_is_noticed_and_leaks_nothing() -> None:
    jobs: Any = make("memory")
    once = jobs.pay.options(idempotency_key="order-7")
    handle = once.dispatch(card=CARD)
    assert once.dispatch(card=CARD).id == handle.id
    with pytest.raises(IdempotencyConflict):
        once.dispatch(card="4222")
    options = kept(jobs, handle.id).options
    same = make("memory", key=OTHER)
    there: Any = same.pay.options(idempotency_key="order-7").dispatch(card=CARD)
    assert kept(same, there.id).options != options, "a hash that anybody could make"


def test_a_request_is_known_again_after_the_key_has_changed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    jobs: Any = make("database", database_url=url)
    jobs.migrate()
    handle = jobs.pay.options(idempotency_key="order-7").dispatch(card=CARD)
    rotated: Any = make("database", database_url=url, key=OTHER, previous_keys=[KEY])
    once = rotated.pay.options(idempotency_key="order-7")
    assert once.dispatch(card=CARD).id == handle.id
    with pytest.raises(IdempotencyConflict):
        once.dispatch(card="4222")
    jobs.close()
    rotated.close()


def test_it_may_be_moved_to_another_store_and_retried_there(tmp_path: Path) -> None:
    jobs: Any = make("memory")
    other: Any = make("database", database_url=f"sqlite:///{tmp_path}/jobs.sqlite3")
    other.migrate()
    handles = [jobs.pay.dispatch(card=CARD), jobs.refund(card=CARD).dispatch()]
    assert Moving(jobs.driver, other.driver).run().moved == 2
    drain(other.runtime)
    paid, refused = (other.handle(each.id) for each in handles)
    assert paid.result() == {"paid with": CARD}
    assert refused.retry()
    drain(other.runtime)
    assert other.told == [CARD, CARD]
    other.close()


def test_the_fake_needs_no_key() -> None:
    jobs: Any = make("database", key=None)
    with jobs.fake() as queue:
        jobs.pay.dispatch(card=CARD)
        queue.assert_pushed(jobs.pay, lambda job: job.args.card == CARD)


def test_cryptography_is_imported_by_who_encrypts_alone(tmp_path: Path) -> None:
    program = f"""
import sys
from tabur import Tabur
jobs = Tabur("sync", key={KEY!r}, sign=True)
@jobs.job()
def plain(n: int) -> int: return n
@jobs.job(encrypted=True)
def secret(n: int) -> int: return n
assert plain.dispatch(n=1).result() == 1
assert "cryptography" not in sys.modules
assert secret.dispatch(n=1).result() == 1
assert "cryptography" in sys.modules
"""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=quiet)


def test_middleware_sees_its_arguments_and_events_do_not() -> None:
    jobs = Tabur("sync", key=KEY)
    seen: list[Any] = []
    told: list[Event] = []

    def look(job: JobContext, next: Next) -> object:
        seen.append(job.args.card)
        return next(job)

    @jobs.job(encrypted=True, middleware=[look])
    def pay(card: str) -> None:
        raise LookupError("no such card")

    @jobs.listen(JobQueued, JobProcessing, JobFailed)
    def hear(event: Event) -> None:
        told.append(event)

    pay.dispatch(card=CARD)
    assert seen == [CARD]
    assert {type(each) for each in told} == {JobQueued, JobProcessing, JobFailed}
    assert CARD not in str(told)
