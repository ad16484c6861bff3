"""Who listens, what he is told, and that it changes nothing; on the `sync` connection."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import tabur
from tabur import ConfigError, JobContext, State, Tabur
from tabur.events import (
    Event,
    JobEvent,
    JobFailed,
    JobProcessed,
    JobProcessing,
    JobQueued,
    JobReleased,
)


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="sync")


def test_the_life_of_a_job_is_told(jobs: Tabur, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Event] = []
    jobs.listen(Event)(told.append)

    @jobs.job(tries=2, queue="mail")
    def flaky(ctx: JobContext) -> None:
        raise ValueError(f"attempt {ctx.attempt}")

    with caplog.at_level(logging.CRITICAL):
        handle = flaky.options(tenant="acme", user="7").dispatch()
    assert [type(each).__name__ for each in told] == [
        *("JobProcessing", "JobReleased", "JobProcessing", "JobFailed", "JobQueued"),
    ], "sync runs a job before it says that it is there"
    for each in told:
        assert isinstance(each, JobEvent)
        assert (each.job_id, each.name, each.queue) == (handle.id, "flaky", "mail")
        assert (each.connection, each.tenant, each.user) == ("sync", "acme", "7")
    released, failed = told[1], told[3]
    assert isinstance(released, JobReleased)
    assert (released.attempt, released.charged, released.message) == (1, True, "attempt 1")
    assert isinstance(failed, JobFailed)
    assert (failed.attempt, failed.error_type, failed.message) == (2, "ValueError", "attempt 2")


def test_one_hears_only_what_he_listens_to(jobs: Tabur) -> None:
    told: list[Event] = []

    @jobs.listen(JobProcessed, JobReleased)
    def hear(event: JobEvent) -> None:
        told.append(event)

    @jobs.job()
    def snoozes(ctx: JobContext) -> None:
        ctx.snooze(60)

    @jobs.job()
    def fine() -> None: ...

    fine.dispatch()
    snoozes.dispatch()
    processed, released = told
    assert isinstance(processed, JobProcessed)
    assert processed.seconds >= 0
    assert isinstance(released, JobReleased)
    assert released.charged is False
    assert 59 < released.delay < 61
    assert (released.error_type, released.message) == (None, None)


def test_what_a_listener_raises_is_logged_and_changes_nothing(
    jobs: Tabur, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Event] = []

    @jobs.listen(JobProcessing, JobQueued)
    def breaks(event: JobEvent) -> None:
        raise RuntimeError("as always")

    jobs.listen(JobProcessing)(told.append)

    @jobs.job()
    def fine() -> int:
        return 1

    assert fine.dispatch().result() == 1
    assert len(told) == 1
    assert "as always" in caplog.text


def test_what_is_in_a_transaction_is_told_once_it_has_committed(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    jobs = Tabur(connection="database", database_url=url)
    jobs.migrate()
    told: list[JobQueued] = []
    jobs.listen(JobQueued)(told.append)

    @jobs.job()
    def fine() -> None: ...

    engine = create_engine(url)
    jobs.install(engine)
    with Session(engine) as session, session.begin():
        kept = fine.options(session=session).dispatch()
        assert told == []
    assert [each.job_id for each in told] == [kept.id]
    with Session(engine) as session:
        fine.options(session=session).dispatch()
        fine.options(session=session, after_commit=True).dispatch()
        session.rollback()
    with Session(engine) as session, session.begin():
        after = fine.options(session=session, after_commit=True).dispatch()
        assert len(told) == 1
    many = jobs.dispatch_many([fine(), fine().options(queue="high")])
    assert [each.job_id for each in told[1:]] == [after.id, *(each.id for each in many)]
    assert [each.queue for each in told] == ["default", "default", "default", "high"]
    engine.dispose()
    jobs.close()


def test_what_cannot_be_listened_to_is_refused(jobs: Tabur) -> None:
    wrong: Any = tabur.JobFailed
    with pytest.raises(ConfigError, match=r"tabur\.JobFailed is an error"):
        jobs.listen(wrong)(print)
    with pytest.raises(ConfigError, match="events are needed"):
        jobs.listen()(print)

    async def light(event: JobFailed) -> None: ...

    with pytest.raises(ConfigError, match="async def"):
        jobs.listen(JobFailed)(light)


def test_a_fake_tells_nothing(jobs: Tabur) -> None:
    told: list[Event] = []
    jobs.listen(Event)(told.append)

    @jobs.job()
    def fine() -> None: ...

    with jobs.fake():
        assert fine.dispatch().status().state is State.PENDING
    assert told == []
