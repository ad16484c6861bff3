"""How long finished jobs stay: by time, by count and by bytes, for all jobs and for one."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from tabur import ConfigError, FunctionJob, JobContext, JobHandle, JobNotFound, Tabur
from tabur.errors import StoreUnavailable
from tabur.maintenance.retention import Pruner, prune
from tabur.model.clock import SECOND
from tabur.worker.inline import drain
from tests.maintenance.conftest import MakeApp

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def pruned_after(app: Tabur, age: timedelta, monkeypatch: pytest.MonkeyPatch) -> int:
    """Prune as if that much time had gone by."""
    now = app.driver.now()
    with monkeypatch.context() as patch:
        patch.setattr(app.driver, "now", lambda: now + int(age.total_seconds()) * SECOND)
        return prune(app.driver, app.drivers, app.settings, app.registry)


def is_known(handle: JobHandle[Any]) -> bool:
    try:
        handle.status()
    except JobNotFound:
        return False
    return True


def declare(app: Tabur, name: str, **options: Any) -> FunctionJob[..., Any]:
    """A job that does as it is told."""

    def job(ctx: JobContext, what: str = "complete") -> str:
        if what == "fail":
            raise ValueError(what)
        return what

    made: FunctionJob[..., Any] = app.job(name=name, **options)(job)
    return made


def ended(job: FunctionJob[..., Any], app: Tabur) -> dict[str, JobHandle[Any]]:
    """One of each ending."""
    called_back = job.options(delay=60).dispatch()
    called_back.cancel()
    handles = {
        "cancelled": called_back,
        "completed": job.dispatch(),
        "failed": job.dispatch("fail"),
    }
    drain(app.runtime)
    assert {name: str(each.status().state) for name, each in handles.items()} == {
        name: name for name in handles
    }
    return handles


def known(handles: dict[str, JobHandle[Any]]) -> set[str]:
    return {name for name, each in handles.items() if is_known(each)}


def test_each_ending_has_its_setting(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(keep_completed=DAY, keep_failed=3 * DAY, keep_cancelled=2 * DAY)
    handles = ended(declare(app, "work"), app)
    assert pruned_after(app, DAY - HOUR, monkeypatch) == 0
    assert pruned_after(app, DAY + HOUR, monkeypatch) == 1
    assert known(handles) == {"failed", "cancelled"}
    assert pruned_after(app, 2 * DAY + HOUR, monkeypatch) == 1
    assert known(handles) == {"failed"}
    assert pruned_after(app, 3 * DAY + HOUR, monkeypatch) == 1


def test_a_job_declares_its_own(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(keep_completed=2 * DAY)
    short = ended(declare(app, "short", keep_completed=DAY, keep_failed=DAY), app)
    long = ended(declare(app, "long", keep_completed=9 * DAY, keep_cancelled=DAY), app)
    usual = ended(declare(app, "usual"), app)
    assert pruned_after(app, DAY + HOUR, monkeypatch) == 4
    assert known(short) == set()
    assert known(long) == {"completed", "failed"}
    assert known(usual) == {"completed", "failed", "cancelled"}
    assert pruned_after(app, 2 * DAY + HOUR, monkeypatch) == 2
    assert known(usual) == {"failed"}
    assert known(long) == {"completed", "failed"}
    assert pruned_after(app, 10 * DAY, monkeypatch) == 1
    assert known(long) == {"failed"}


def test_a_renamed_jobs_old_ones_are_kept_as_its_new_ones(
    make_app: MakeApp, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if place["connection"] == "memory":
        pytest.skip("two apps share no memory")
    before = make_app()
    old = declare(before, "old").dispatch()
    drain(before.runtime)
    app = make_app()
    new = declare(app, "new", aliases=["old"], keep_at_most=1).dispatch()
    drain(app.runtime)
    assert pruned_after(app, 2 * HOUR, monkeypatch) == 1
    assert (is_known(old), is_known(new)) == (False, True)


def test_at_most_so_many_of_a_job_and_ending(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    few, many = declare(app, "few", keep_at_most=2), declare(app, "many")
    handles = []
    for n in range(6):
        handles.append(few.dispatch("fail" if n == 0 else "complete"))
        many.dispatch()
        drain(app.runtime)
    waiting = [few.options(delay=9_000).dispatch() for _ in range(3)]
    assert pruned_after(app, HOUR / 2, monkeypatch) == 0  # an id is known for an hour
    assert pruned_after(app, 2 * HOUR, monkeypatch) == 3
    assert [is_known(each) for each in handles] == [True, False, False, False, True, True]
    assert all(is_known(each) for each in waiting)
    assert pruned_after(app, 2 * HOUR, monkeypatch) == 0


def test_so_many_bytes_of_payloads_and_results(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(keep_bytes=70_000)

    @app.job()
    def store(text: str) -> str:
        return text[:10_000]

    handles = []
    for _ in range(5):
        handles.append(store.dispatch("x" * 20_000))
        drain(app.runtime)
    waiting = store.options(delay=9_000).dispatch("x" * 900_000)
    assert pruned_after(app, HOUR / 2, monkeypatch) == 0
    assert pruned_after(app, 2 * HOUR, monkeypatch) == 3
    assert [is_known(each) for each in handles] == [False, False, False, True, True]
    assert is_known(waiting)
    assert pruned_after(app, 2 * HOUR, monkeypatch) == 0


def test_what_goes_by_time_is_not_counted_among_the_bytes(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(keep_bytes=30_000, keep_completed=3 * DAY)

    def work(text: str) -> None: ...

    kept, short = app.job(name="kept")(work), app.job(name="short", keep_completed=DAY)(work)
    first = kept.dispatch("x" * 20_000)
    drain(app.runtime)
    second = short.dispatch("x" * 20_000)
    drain(app.runtime)
    assert pruned_after(app, 2 * DAY, monkeypatch) == 1
    assert (is_known(first), is_known(second)) == (True, False)


def test_a_files_folder_goes_with_its_job(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(keep_completed=DAY)

    @app.job()
    def report(ctx: JobContext) -> None:
        ctx.attach(b"rows", name="report.csv")

    handle = report.dispatch()
    drain(app.runtime)
    (attachment,) = handle.status().attachments
    file = app.attachment_path(attachment.path)
    assert file.read_bytes() == b"rows"
    now = file.stat().st_mtime + 2 * DAY.total_seconds()
    monkeypatch.setattr("tabur.maintenance.retention.time.time", lambda: now)
    assert pruned_after(app, HOUR, monkeypatch) == 0
    assert file.exists()
    assert pruned_after(app, 2 * DAY, monkeypatch) == 1
    assert not file.parent.exists()


@pytest.mark.parametrize("setting", ["keep_completed", "keep_failed", "keep_cancelled"])
def test_less_than_an_hour_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be at least an hour"):
        Tabur("memory", **{setting: timedelta(minutes=59)})
    app = Tabur("memory")
    with pytest.raises(ConfigError, match=f"{setting}=60: an hour or more is needed"):
        declare(app, "work", **{setting: 60})


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="keep_bytes must be a number of bytes"):
        Tabur("memory", keep_bytes=0)
    with pytest.raises(ConfigError, match="keep_at_most=0: a whole number from 1"):
        declare(Tabur("memory"), "work", keep_at_most=0)


def test_nobody_waits_while_it_prunes() -> None:
    going_on, may_end = threading.Event(), threading.Event()
    rounds: list[int] = []

    def work() -> None:
        rounds.append(1)
        going_on.set()
        assert may_end.wait(30)

    pruner = Pruner(work)
    pruner.start()
    assert going_on.wait(30)
    pruner.start()  # the one before has not ended
    assert not pruner.wait(0)
    may_end.set()
    assert pruner.wait(30)
    assert rounds == [1]
    pruner.start()
    assert pruner.wait(30)
    assert rounds == [1, 1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailable("it is away"), "Pruning is left for later: it is away"),
        (ValueError("a slip"), "Pruning failed, and is tried again in an hour"),
    ],
)
def test_a_failure_is_told_and_ends_nothing(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise error

    pruner = Pruner(fails)
    pruner.start()
    assert pruner.wait(30)
    assert told in caplog.text
    caplog.clear()
    pruner.stop()
    pruner.start()
    assert pruner.wait(30)
    assert caplog.text == ""  # the store was closed under it
