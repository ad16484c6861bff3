"""All there is of one tenant or person is erased, and nothing of anybody else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tabur import ConfigError, JobContext, JobHandle, JobNotFound, PendingJob, State, Tabur
from tabur.drivers.contract import Exchange, Filter
from tabur.errors import TaburError
from tabur.model.ids import new_token
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation
from tabur.operations import erasing as module
from tabur.operations.erasing import Erased, Erasing
from tabur.testing.conformance import move
from tabur.worker.inline import drain
from tests.maintenance.conftest import MakeApp
from tests.worker.workshop import until


@pytest.fixture
def app(make_app: MakeApp) -> Tabur:
    app = make_app()

    @app.job(name="export")
    def export(ctx: JobContext, fail: bool = False) -> str:
        ctx.progress(1, total=2, message="half of it")
        ctx.attach(b"rows", name="rows.csv")
        ctx.attach(b"more", name="more.csv")
        if fail:
            raise ValueError("their name")
        return "their address"

    return app


def pending(app: Tabur, *, fail: bool = False, **options: Any) -> PendingJob[Any]:
    made: PendingJob[Any] = PendingJob(app.registry.get("export"), {"fail": fail}, app._sending)
    return made.options(**options)


def dispatch(app: Tabur, **options: Any) -> JobHandle[Any]:
    return pending(app, **options).dispatch()


def everything_of(app: Tabur, **owner: str) -> list[JobHandle[Any]]:
    """A job in each state but processing."""
    ended = [dispatch(app, **owner), dispatch(app, fail=True, **owner)]
    drain(app.runtime)
    called_back = dispatch(app, delay=60, **owner)
    called_back.cancel()
    # (The last one runs where another one's are made.)
    unfinished = [dispatch(app, delay=60, **owner), dispatch(app, **owner)]
    return [*ended, called_back, *unfinished]


def running(app: Tabur, **owner: str) -> ClaimedJob:
    """A job that a worker runs."""
    dispatch(app, queue="run", **owner)
    turn = Exchange("w1", token=new_token(), queues=["run"], slots={Isolation.THREAD: 1})
    (claimed,) = app.driver.claiming.exchange(turn).claimed
    return claimed


def erasing(app: Tabur, **owner: str) -> Erasing:
    return Erasing(app.drivers, app.settings.attachments, **owner)


def is_known(handle: JobHandle[Any]) -> bool:
    try:
        handle.status()
    except JobNotFound:
        return False
    return True


def folders(app: Tabur) -> set[str]:
    return {each.name for each in app.settings.attachments.iterdir()}


def test_all_of_a_tenant_goes_and_nothing_of_others(app: Tabur) -> None:
    theirs = [*everything_of(app, tenant="acme"), *everything_of(app, tenant="acme", user="1")]
    others = [
        *everything_of(app, tenant="other", user="1"),
        *everything_of(app, user="acme"),
        *everything_of(app),
    ]
    assert erasing(app, tenant="acme").count() == Erased(jobs=10, files=12)
    assert all(is_known(each) for each in theirs)
    kept = {each.id for each in others}
    assert erasing(app, tenant="acme").erase() == Erased(jobs=10, files=12)
    assert not any(is_known(each) for each in theirs)
    assert folders(app) <= kept
    for each in theirs:
        raw = bytes.fromhex(each.id.replace("-", ""))
        assert list(app.driver.inspection.attempts(raw)) == []
        assert list(app.driver.inspection.attachments(raw)) == []
    assert all(is_known(each) for each in others)
    assert {str(each.status().state) for each in others} >= {"completed", "failed", "scheduled"}
    assert erasing(app, tenant="acme").erase() == Erased()


def test_of_a_tenant_one_user_alone(app: Tabur) -> None:
    theirs = everything_of(app, tenant="acme", user="1")
    others = [dispatch(app, tenant="acme"), dispatch(app, tenant="acme", user="2")]
    others.append(dispatch(app, user="1"))
    assert erasing(app, tenant="acme", user="1").erase().jobs == 5
    assert not any(is_known(each) for each in theirs)
    assert all(is_known(each) for each in others)
    assert erasing(app, user="1").erase().jobs == 1
    assert [is_known(each) for each in others] == [True, True, False]


def test_what_stops_in_time_is_erased_too_with_what_came_of_it(app: Tabur) -> None:
    claimed = running(app, tenant="acme")
    stopped = threading.Thread(target=_stop_when_asked, args=(app, claimed))
    stopped.start()
    assert erasing(app, tenant="acme").erase(wait=30) == Erased(jobs=2)
    stopped.join()
    assert app.driver.inspection.count(Filter(), at_most=9) == 0


def test_what_still_runs_is_left_and_named_and_the_rest_goes(app: Tabur) -> None:
    claimed = running(app, tenant="acme")
    others = everything_of(app, tenant="acme")
    erased = erasing(app, tenant="acme").erase(wait=0)
    assert (erased.jobs, erased.is_complete) == (5, False)
    (left,) = erased.running
    assert app.handle(left).status().state is State.PROCESSING
    assert not any(is_known(each) for each in others)
    app.driver.claiming.exchange(Exchange("w1", settle=[move(claimed, State.CANCELLED)]))
    assert erasing(app, tenant="acme").erase(wait=0) == Erased(jobs=1)


def test_what_would_run_again_is_called_back(app: Tabur) -> None:
    """A running one that fails and would be retried."""
    claimed = running(app, tenant="acme")
    assert not erasing(app, tenant="acme").erase(wait=0).is_complete
    app.driver.claiming.exchange(Exchange("w1", settle=[move(claimed, State.PENDING)]))
    assert erasing(app, tenant="acme").erase(wait=0) == Erased(jobs=1)


def test_schedules_of_theirs_go_and_those_of_others_stay(app: Tabur) -> None:
    theirs = pending(app, tenant="acme", user="1")
    app.schedules.create(name="theirs", cron="0 0 * * *", job=theirs)
    app.schedules.create(name="others", cron="0 0 * * *", job=pending(app))
    assert erasing(app, tenant="acme").count() == Erased(schedules=1)
    assert erasing(app, tenant="acme", user="2").count() == Erased()
    assert erasing(app, tenant="acme").erase() == Erased(schedules=1)
    assert [each.name for each in app.schedules.list()] == ["others"]


def test_however_many_pages(app: Tabur, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    theirs = [dispatch(app, tenant="acme") for _ in range(10)]
    others = [dispatch(app, tenant="other") for _ in range(10)]
    assert erasing(app, tenant="acme").count() == Erased(jobs=10)
    assert erasing(app, tenant="acme").erase() == Erased(jobs=10)
    assert not any(is_known(each) for each in theirs)
    assert all(is_known(each) for each in others)


def test_a_file_that_cannot_be_removed_keeps_its_job(
    app: Tabur, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = dispatch(app, tenant="acme")
    drain(app.runtime)

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr("tabur.operations.erasing.shutil.rmtree", refuse)
        with pytest.raises(TaburError, match=r"cannot be removed: .*Permission denied"):
            erasing(app, tenant="acme").erase()
    assert is_known(handle)
    assert erasing(app, tenant="acme").erase() == Erased(jobs=1, files=2)


@pytest.mark.parametrize("owner", [{}, {"tenant": ""}, {"user": ""}])
def test_without_an_owner_nothing_is_erased(app: Tabur, owner: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="Whose jobs"):
        erasing(app, **owner)


def _stop_when_asked(app: Tabur, claimed: ClaimedJob) -> None:
    """And leave one more job behind."""
    claiming = app.driver.claiming
    until(lambda: claimed.id in claiming.exchange(Exchange("w1", watch=True)).cancelling)
    dispatch(app, tenant="acme")
    claiming.exchange(Exchange("w1", settle=[move(claimed, State.CANCELLED)]))
