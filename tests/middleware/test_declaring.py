"""How middleware is declared, in which order it stands around a job, and what it may change."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tabur import ConfigError, Job, JobContext, JobFailed, State, Tabur
from tabur.middleware import FailOnException, Next, Release, Skip, WithoutOverlapping
from tabur.model.ids import id_bytes


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="sync")


class Notes:
    """Serves jobs of both kinds."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log = log
        self._name = name

    def handle(self, job: JobContext, next: Next) -> Any:
        self._log.append(f"{self._name} before {job.args.n}")
        try:
            return next(job)
        finally:
            self._log.append(f"{self._name} after")

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        self._log.append(f"{self._name} before {job.args.n}")
        try:
            return await next(job)
        finally:
            self._log.append(f"{self._name} after")


def doubled(job: JobContext, next: Next) -> Any:
    return 2 * next(job)


async def doubled_async(job: JobContext, next: Next) -> Any:
    return 2 * await next(job)


def test_the_first_is_the_outermost_and_those_of_all_jobs_are_outside(jobs: Tabur) -> None:
    log: list[str] = []

    @jobs.job(middleware=[Notes(log, "a"), Notes(log, "b")])
    def plain(n: int) -> None:
        log.append("job")

    @jobs.job(middleware=[Notes(log, "a"), Notes(log, "b")])
    async def light(n: int) -> None:
        log.append("job")

    jobs.middleware(Notes(log, "all"))
    jobs.middleware(Notes(log, "all too"))
    around = ["all before 7", "all too before 7", "a before 7", "b before 7"]
    expected = [*around, "job", "b after", "a after", "all too after", "all after"]
    plain.dispatch(n=7)
    assert log == expected
    log.clear()
    light.dispatch(n=7)
    assert log == expected


def test_functions_change_what_a_job_returns(jobs: Tabur) -> None:
    @jobs.job(middleware=[doubled, doubled])
    def plain(n: int) -> int:
        return n

    @jobs.job(middleware=(doubled_async,))
    async def light(n: int) -> int:
        return n

    assert plain.dispatch(n=3).result() == 12
    assert light.dispatch(n=3).result() == 6
    assert plain(n=3).run() == 3, "run() is the job alone"


def test_a_class_that_needs_nothing_may_be_given_itself(jobs: Tabur) -> None:
    @jobs.register
    class Sync(Job[int], middleware=[WithoutOverlapping, doubled]):
        n: int

        def handle(self, ctx: JobContext) -> int:
            return self.n

    assert Sync(n=4).dispatch().result() == 8


def test_of_the_wrong_kind_it_is_refused_where_it_is_declared(jobs: Tabur) -> None:
    with pytest.raises(ConfigError, match="light: middleware doubled is no async def"):

        @jobs.job(middleware=[doubled])
        async def light() -> None: ...

    with pytest.raises(ConfigError, match="plain: middleware doubled_async is async def"):

        @jobs.job(middleware=[doubled_async])
        def plain() -> None: ...

    for given in (doubled, doubled_async):
        with pytest.raises(ConfigError, match="beside"):
            jobs.middleware(given)


@pytest.mark.parametrize("given", [[7], "skip", doubled, [None]])
def test_what_is_no_middleware_is_refused(jobs: Tabur, given: Any) -> None:
    with pytest.raises(ConfigError, match=r"plain: middleware=.* is needed"):

        @jobs.job(middleware=given)
        def plain() -> None: ...


def test_what_it_raises_is_the_jobs_error(jobs: Tabur, caplog: pytest.LogCaptureFixture) -> None:
    def strict(job: JobContext, next: Next) -> Any:
        if job.attempt < 3:
            raise ValueError("not yet")
        return next(job)

    @jobs.job(tries=3, middleware=[strict])
    def third(ctx: JobContext) -> int:
        return ctx.attempt

    with caplog.at_level(logging.CRITICAL):
        assert third.dispatch().result() == 3


def test_it_may_release_fail_and_cancel(jobs: Tabur, caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    def first_released(job: JobContext, next: Next) -> Any:
        if job.attempt == 1:
            job.release(60)
        return next(job)

    @jobs.job(tries=2, middleware=[first_released])
    def released(ctx: JobContext) -> int:
        return ctx.attempt

    @jobs.job(middleware=[lambda job, next: job.fail("Not on Fridays.")])
    def failing() -> None:
        ran.append("failing")

    @jobs.job(middleware=[lambda job, next: job.cancel("Nobody needs it.")])
    def cancelled() -> None:
        ran.append("cancelled")

    with caplog.at_level(logging.CRITICAL):
        assert released.dispatch().result() == 2
        with pytest.raises(JobFailed, match="Not on Fridays"):
            failing.dispatch().result()
        status = cancelled.dispatch().status()
    assert status.state is State.CANCELLED
    assert status.error is not None
    assert status.error.message == "Nobody needs it."
    assert ran == []


def test_skip(jobs: Tabur) -> None:
    ran: list[int] = []

    @jobs.job(middleware=[Skip.when(lambda job: job.args.n == 1)])
    def plain(n: int) -> str:
        ran.append(n)
        return "done"

    @jobs.job(middleware=[Skip.unless(lambda job: job.args.n == 1)])
    async def light(n: int) -> str:
        ran.append(n)
        return "done"

    skipped = plain.dispatch(n=1).status()
    assert skipped.state is State.COMPLETED
    assert skipped.result is None
    assert plain.dispatch(n=2).result() == "done"
    assert light.dispatch(n=1).result() == "done"
    assert light.dispatch(n=2).result() is None
    assert ran == [2, 1]


def test_release_waits_uncharged_as_long_as_it_holds(jobs: Tabur) -> None:
    @jobs.job(middleware=[Release.when(lambda job: job.args.n == 1, after=60)])
    def plain(n: int) -> str:
        return "done"

    @jobs.job(middleware=[Release.unless(lambda job: job.args.n == 1, after=60)])
    async def light(n: int) -> str:
        return "done"

    for waiting in (plain.dispatch(n=1), light.dispatch(n=2)):
        status = waiting.status()
        assert (status.state, status.attempt) == (State.SCHEDULED, 0)
        assert not jobs.driver.inspection.attempts(id_bytes(waiting.id)), "it has no history"
    assert plain.dispatch(n=2).result() == light.dispatch(n=1).result() == "done"


def test_fail_on_exception(jobs: Tabur, caplog: pytest.LogCaptureFixture) -> None:
    attempts: list[int] = []

    @jobs.job(tries=5, middleware=[FailOnException(KeyError, PermissionError)])
    def plain(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        raise KeyError("sku") if ctx.attempt == 2 else ValueError("again")

    @jobs.job(tries=5, middleware=[FailOnException(PermissionError)])
    async def light(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        raise PermissionError("no")

    with caplog.at_level(logging.CRITICAL):
        assert plain.dispatch().status().state is State.FAILED
        assert light.dispatch().status().state is State.FAILED
    assert attempts == [1, 2, 1]
    with pytest.raises(ConfigError, match="exception classes"):
        FailOnException()


def test_what_schedules_run_goes_through_it_too(jobs: Tabur) -> None:
    log: list[str] = []

    class Around:
        def handle(self, job: JobContext, next: Next) -> Any:
            log.append(job.name)
            return next(job)

        async def handle_async(self, job: JobContext, next: Next) -> Any:
            return await next(job)

    jobs.middleware(Around())
    jobs.schedule.call(lambda: log.append("ran")).name("nightly").daily()
    (definition,) = jobs.schedule.jobs()
    call = jobs.registry.call(definition)
    from tests.jobs.test_context import Watching, context

    ctx = context(Watching())
    call(ctx, definition.codec.decode(b"{}"))
    assert log == [ctx.name, "ran"]
