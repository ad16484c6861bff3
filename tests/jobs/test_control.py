"""How a job ends itself, and the keys that it has for others, on the `sync` connection."""

from __future__ import annotations

from uuid import UUID

import pytest

from tabur import JobContext, State, Tabur
from tabur.model.ids import id_bytes


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="sync")


def test_snooze_spends_no_attempt_and_leaves_no_trace(jobs: Tabur) -> None:
    @jobs.job(tries=1)
    def later(ctx: JobContext) -> None:
        ctx.snooze(3600)

    handle = later.dispatch()
    status = handle.status()
    assert (status.state, status.attempt) == (State.SCHEDULED, 0)
    assert jobs.driver.inspection.attempts(id_bytes(handle.id)) == []


def test_on_sync_what_has_snoozed_runs_with_a_later_dispatch(jobs: Tabur) -> None:
    runs: list[int] = []

    @jobs.job(tries=1)
    def impatient(ctx: JobContext) -> int:
        runs.append(ctx.attempt)
        if len(runs) == 1:
            ctx.snooze(0.000_001)
        return ctx.attempt

    first = impatient.dispatch()
    impatient.dispatch()
    assert first.result() == 1
    assert runs == [1, 1, 1]


def test_cancel_ends_it_for_good(jobs: Tabur) -> None:
    @jobs.job(tries=5)
    def needless(ctx: JobContext, reason: str | None) -> None:
        try:
            ctx.cancel() if reason is None else ctx.cancel(reason)
        except Exception:
            raise AssertionError("no error of the job's") from None

    for reason, said in ((None, "It cancelled itself."), ("Sold out\0.", "Sold out\\x00.")):
        status = needless.dispatch(reason=reason).status()
        assert status.state is State.CANCELLED
        assert status.error is not None
        assert status.error.message == said


def test_a_key_for_others_is_the_same_in_each_attempt_and_else_another(jobs: Tabur) -> None:
    keys: list[str] = []

    @jobs.job(tries=2)
    def charge(ctx: JobContext) -> None:
        keys.extend((ctx.idempotent("charge"), ctx.idempotent("mail")))
        if ctx.attempt == 1:
            ctx.release()

    charge.dispatch()
    charge.dispatch()
    assert keys[:2] == keys[2:4]
    assert len(set(keys)) == 4
    for key in keys:
        assert str(UUID(key)) == key
