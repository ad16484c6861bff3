"""Encrypted jobs that are tied to others: in chains, batches and workflows, and by unique keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tabur import ConfigError, JobContext, PayloadError, SealError, State, Tabur
from tabur.drivers.contract import Filter
from tabur.model.records import JobRecord, decode_options
from tabur.operations.batches import Batches
from tabur.operations.erasing import Erasing
from tabur.operations.rotating import rotate
from tabur.worker.inline import drain

KEY, OTHER = "a key of which nobody else knows 1", "a key of which nobody else knows 2"
CARD = "4111-1111"


def make(connection: str, **settings: Any) -> Any:
    app = Tabur(connection, **({"key": KEY} | settings))
    seen: list[Any] = []

    @app.job(encrypted=True)
    def number(card: str) -> str:
        return card + "!"

    @app.job(encrypted=True)
    def add(ctx: JobContext, card: str) -> None:
        assert ctx.batch is not None
        ctx.batch.add([number(card=card)])

    @app.job(encrypted=True)
    def read(ctx: JobContext) -> Any:
        seen.append(ctx.previous)
        return ctx.previous

    @app.job()
    def plain(ctx: JobContext) -> None:
        seen.append(ctx.previous)

    @app.job(encrypted=True)
    def gather(ctx: JobContext) -> None:
        seen.append(dict(ctx.results))

    @app.job(encrypted=True, unique="card")
    def once(card: str) -> None: ...

    @app.job(encrypted=True, unique="card", debounce=60)
    def late(card: str, n: int) -> int:
        return n

    jobs: Any = app
    jobs.number, jobs.add, jobs.read, jobs.plain, jobs.gather = number, add, read, plain, gather
    jobs.once, jobs.late, jobs.seen = once, late, seen
    return jobs


@pytest.fixture(params=["memory", "database"])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    made = make(request.param, database_url=f"sqlite:///{tmp_path}/jobs.sqlite3")
    made.migrate()
    yield made
    made.close()


def all_of(jobs: Tabur) -> list[JobRecord]:
    inspection = jobs.driver.inspection
    found = [inspection.find(each.id) for each in inspection.list(Filter(), limit=100)]
    return [each for each in found if each is not None]


def work(jobs: Tabur) -> None:
    drain(jobs.runtime)


def check_sealed(jobs: Tabur) -> None:
    """Nothing that the store has of any job, or of what ties it, tells the card."""
    for each in all_of(jobs):
        kept = each.payload + (each.result or b"") + each.options
        assert CARD.encode() not in kept
    for batch in jobs.driver.batches.list(limit=100):
        assert CARD.encode() not in batch.options


def test_a_link_is_handed_what_an_encrypted_one_has_returned(jobs: Any) -> None:
    handle = jobs.chain(jobs.number(card=CARD), jobs.read(), jobs.plain()).dispatch()
    check_sealed(jobs)
    work(jobs)
    assert handle.status().succeeded
    assert jobs.seen == [CARD + "!", CARD + "!"]
    check_sealed(jobs)


def test_a_batch_with_jobs_that_are_added_and_a_callback(jobs: Any) -> None:
    members = [jobs.number(card=CARD), jobs.add(card=CARD + "2")]
    handle = jobs.batch(members).then(jobs.read()).dispatch()
    work(jobs)
    assert handle.status().succeeded
    assert [sorted(each for each in found if each) for found in jobs.seen] == [
        [CARD + "!", CARD + "2!"]
    ]
    results = [each.result() for each in handle.jobs()]
    assert sorted(each for each in results if each) == [CARD + "!", CARD + "2!"]
    again = jobs.find_batch(handle.id)
    assert {each.result() for each in again.jobs()} == set(results)
    check_sealed(jobs)


def test_steps_of_a_workflow_find_results_and_its_picture_shows_no_arguments(jobs: Any) -> None:
    workflow = jobs.workflow("cards")
    workflow.add("one", jobs.number(card=CARD))
    workflow.add("two", jobs.number(card=CARD + "2"))
    workflow.add("all", jobs.gather(), after=["one", "two"])
    assert CARD not in workflow.text()
    handle = workflow.dispatch()
    work(jobs)
    assert jobs.seen == [{"one": CARD + "!", "two": CARD + "2!"}]
    assert sorted(each.result() or "" for each in handle.jobs()) == ["", CARD + "!", CARD + "2!"]
    found = jobs.find_workflow(handle.id)
    assert sorted(each.result() or "" for each in found.jobs())[1:] == [CARD + "!", CARD + "2!"]
    assert CARD not in found.text() + found.svg()
    shown = Batches(*jobs.drivers).show(handle.id)
    assert shown.steps is not None
    assert "number(card=…)" in shown.steps
    check_sealed(jobs)


def test_what_waits_is_rotated_and_runs_under_the_new_key(jobs: Any) -> None:
    handle = jobs.chain(jobs.number(card=CARD), jobs.read()).dispatch()
    jobs.seals = make("memory", key=OTHER, previous_keys=(KEY,)).seals
    rotated = rotate(jobs.driver, jobs.seals, tell=lambda _: None)
    assert (rotated.looked, rotated.rewritten, rotated.left) == (2, 2, 0)
    jobs.seals = make("memory", key=OTHER).seals
    work(jobs)
    assert jobs.seen == [CARD + "!"]
    assert jobs.find_batch(handle.id).status().succeeded


def test_a_unique_key_is_made_with_a_secret(jobs: Any) -> None:
    first = jobs.once.dispatch(card=CARD)
    second = jobs.once.dispatch(card=CARD)
    assert second.was_skipped
    assert second.id == first.id
    assert not jobs.once.dispatch(card=CARD + "2").was_skipped
    with_another = make("memory", key=OTHER)
    other = with_another.once.dispatch(card=CARD)
    assert unique_of(jobs, first.id) != unique_of(with_another, other.id)


def test_a_unique_key_of_a_text_is_made_with_a_secret_too(jobs: Any) -> None:
    def key(app: Any) -> bytes:
        return unique_of(app, app.number.options(unique_key="mine").dispatch(card=CARD).id)

    assert key(jobs) != key(make("memory", key=OTHER))


def unique_of(jobs: Any, job_id: str) -> bytes:
    record = jobs.driver.inspection.find(bytes.fromhex(job_id.replace("-", "")))
    bonds = decode_options(record.options).bonds
    assert bonds is not None
    assert bonds.unique is not None
    return bonds.unique.key


def test_what_replaces_another_opens(jobs: Any) -> None:
    first = jobs.late.dispatch(card=CARD, n=1)
    last = jobs.late.dispatch(card=CARD, n=2)
    assert first.status().state is State.CANCELLED
    record = next(each for each in all_of(jobs) if each.state is State.SCHEDULED)
    assert b'"n":2' in jobs.seals.opened_payload(record)
    assert last.status().state is State.SCHEDULED


@pytest.mark.parametrize("make_whole", ["chain", "batch", "unique"])
def test_without_a_key_nothing_is_dispatched(make_whole: str) -> None:
    jobs = make("memory", key=None)
    with pytest.raises(ConfigError, match="has no key"):
        match make_whole:
            case "chain":
                jobs.chain(jobs.plain(), jobs.number(card=CARD)).dispatch()
            case "batch":
                jobs.batch([jobs.plain(), jobs.number(card=CARD)]).dispatch()
            case _:
                jobs.once.dispatch(card=CARD)
    assert all_of(jobs) == []


def test_jobs_of_a_batch_tell_that_their_results_do_not_open(jobs: Any) -> None:
    handle = jobs.batch([jobs.number(card=CARD)]).dispatch()
    work(jobs)
    jobs.seals = make("memory", key=OTHER).seals
    (job,) = jobs.find_batch(handle.id).jobs()
    assert (job.status().state, job.status().result) == (State.COMPLETED, None)
    with pytest.raises(SealError, match="not among the keys"):
        job.result()


def test_arguments_of_before_are_opened_and_then_brought_on() -> None:
    jobs = make("memory")
    old = jobs.number.dispatch(card=CARD)
    record = jobs.driver.inspection.find(bytes.fromhex(old.id.replace("-", "")))

    later = Tabur("memory", key=KEY)

    @later.job(encrypted=True, version=2)
    def number(cards: list[str]) -> list[str]:
        return cards

    @number.upcast(1)
    def to_cards(arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["card"] != CARD:
            raise ValueError(arguments["card"])
        return {"cards": [arguments["card"]]}

    body = later.seals.opened_payload(record)
    assert number.definition.decode(body, 1).cards == [CARD]
    with pytest.raises(PayloadError) as caught:
        number.definition.decode(b'{"card":"hush-hush"}', 1)
    assert "ValueError" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_of_an_owner_is_erased_without_a_key(jobs: Any, tmp_path: Path) -> None:
    with jobs.scope(tenant="acme"):
        jobs.chain(jobs.number(card=CARD), jobs.read()).dispatch()
        jobs.once.dispatch(card=CARD)
    jobs.number.dispatch(card=CARD)
    erased = Erasing(jobs.drivers, tmp_path / "attachments", tenant="acme").erase()
    assert (erased.jobs, erased.is_complete) == (3, True)
    assert [each.tenant for each in all_of(jobs)] == [None]
