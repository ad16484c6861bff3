"""Composed in the caller's own transaction: all of it commits or vanishes with that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tabur import BatchNotFound, ConfigError
from tests.composing.mill import Mill


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    made = Mill("database", database_url=f"sqlite:///{tmp_path}/jobs.sqlite3")
    made.jobs.migrate()
    yield made
    made.jobs.close()


def test_it_commits_with_the_session(mill: Mill, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.sqlite3")
    with Session(engine) as session, session.begin():
        chain = mill.jobs.chain(mill.grind("a"), mill.grind("b"))
        handle = chain.options(session=session).dispatch()
    assert mill.work() == ["a", "b"]
    assert handle.status().succeeded
    engine.dispose()


def test_it_vanishes_with_the_session(mill: Mill, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.sqlite3")
    with Session(engine) as session:
        batch = mill.jobs.batch([mill.grind("a")]).finally_(mill.grind("b"))
        gone = [
            batch.options(session=session).dispatch(),
            mill.jobs.workflow("w").add("a", mill.grind("a")).options(session=session).dispatch(),
            batch.options(session=session, after_commit=True).dispatch(),
        ]
        session.rollback()
    for handle in gone:
        with pytest.raises(BatchNotFound):
            handle.status()
    assert mill.work() == []
    engine.dispose()


def test_after_the_commit(mill: Mill, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.sqlite3")
    with Session(engine) as session, session.begin():
        batch = mill.jobs.batch([mill.grind("a")]).then(mill.grind("b"))
        handle = batch.options(session=session, after_commit=True).dispatch()
        with pytest.raises(BatchNotFound):
            handle.status()
    assert mill.work() == ["a", "b"]
    engine.dispose()


def test_with_an_asynchronous_session(mill: Mill, tmp_path: Path) -> None:
    async def dispatch() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/jobs.sqlite3")
        mill.jobs.install(engine.sync_engine)
        batch = mill.jobs.batch([mill.grind("a")])
        async with AsyncSession(engine) as session, session.begin():
            with pytest.raises(ConfigError, match="dispatch_async"):
                batch.options(session=session).dispatch()
            await batch.options(session=session).dispatch_async()
            await batch.options(session=session, after_commit=True).dispatch_async()
            flow = mill.jobs.workflow("w").add("b", mill.grind("b")).options(session=session)
            await flow.dispatch_async()
        async with AsyncSession(engine) as session:
            await batch.options(session=session).dispatch_async()
            await session.rollback()
        await engine.dispose()

    asyncio.run(dispatch())
    assert sorted(mill.work()) == ["a", "a", "b"]


def test_an_undo_of_a_savepoint_takes_it_along(mill: Mill, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/jobs.sqlite3")
    mill.jobs.install(engine)
    with Session(engine) as session, session.begin():
        inner = session.begin_nested()
        mill.jobs.chain(mill.grind("a"), mill.grind("b")).options(session=session).dispatch()
        inner.rollback()
        mill.jobs.chain(mill.grind("c")).options(session=session).dispatch()
    assert mill.work() == ["c"]
    assert len(mill.jobs.batches()) == 1
    engine.dispose()
