"""Unique jobs on each server: the same story as on SQLite, one dispatch after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import FunctionJob, State, Tabur, UniqueConflict
from tabur.model.ids import new_id
from tabur.worker.inline import drain


@pytest.fixture(params=["postgres", "mariadb", "redis"])
def jobs(request: pytest.FixtureRequest) -> Iterator[Tabur]:
    server: Any = request.getfixturevalue(f"{request.param}_server")
    name = f"u_{new_id().hex()}"
    if request.param == "redis":
        app = Tabur(connection="redis", redis_url=server.url(), redis_prefix=name)
    else:
        app = Tabur(connection="database", database_url=server.create_database(name))
    app.migrate()
    with closing(app):
        yield app


@pytest.fixture
def once(jobs: Tabur) -> FunctionJob[[int, str], int]:
    @jobs.job(unique="n")
    def once(n: int, note: str) -> int:
        return n

    return once


def test_until_it_has_ended(jobs: Tabur, once: FunctionJob[[int, str], int]) -> None:
    first, second = once.dispatch(1, "one"), once.dispatch(1, "two")
    assert (second.was_skipped, second.id) == (True, first.id)
    with pytest.raises(UniqueConflict, match=first.id):
        once.options(on_conflict="raise").dispatch(1, "three")
    drain(jobs.runtime)
    assert first.result() == 1
    assert not once.dispatch(1, "four").was_skipped


def test_one_that_waits_for_its_time_holds_its_key(once: FunctionJob[[int, str], int]) -> None:
    first = once.options(delay=60).dispatch(1, "one")
    assert first.status().state is State.SCHEDULED
    assert once.dispatch(1, "two").id == first.id
    last = once.options(on_conflict="replace").dispatch(1, "three")
    assert (last.was_skipped, first.status().state) == (False, State.CANCELLED)


def test_a_repetition_is_the_same_job(once: FunctionJob[[int, str], int]) -> None:
    again = once.options(idempotency_key="request-1")
    first, second = again.dispatch(1, "one"), again.dispatch(1, "one")
    assert (second.was_skipped, second.id) == (False, first.id)


def test_in_bulk_some_are_skipped(jobs: Tabur, once: FunctionJob[[int, str], int]) -> None:
    held = once.dispatch(1, "one")
    handles = jobs.dispatch_many([once(n, "many") for n in (1, 2, 3, 2)])
    assert [each.was_skipped for each in handles] == [True, False, False, True]
    assert [handles[0].id, handles[3].id] == [held.id, handles[1].id]
    drain(jobs.runtime)
    assert [each.result() for each in handles] == [1, 2, 3, 2]


@pytest.mark.parametrize("jobs", ["postgres", "mariadb"], indirect=True)
def test_a_rollback_frees_it_at_once(jobs: Tabur, once: FunctionJob[[int, str], int]) -> None:
    engine = create_engine(jobs.settings.database_url)
    with Session(engine) as session:
        session.begin()
        once.options(session=session).dispatch(1, "one")
        session.rollback()
        second = once.dispatch(1, "two")
        assert not second.was_skipped
        with session.begin():
            assert once.options(session=session).dispatch(1, "three").id == second.id
    engine.dispose()
