"""What is past its time goes, what failed stays, and no file is left without its job."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tabur import ConfigError, JobContext, JobNotFound, Tabur
from tabur.maintenance.retention import prune, sweep
from tabur.model.schedules import Advance, Decision, Origin, ScheduleRecord, Tick

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)


def app(folder: Path, keep: timedelta = timedelta(hours=1)) -> Tabur:
    return Tabur("sync", attachments=folder / "attachments", keep_completed=keep)


def test_only_old_completed_and_cancelled_jobs_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = app(tmp_path)

    @jobs.job()
    def fine() -> None: ...

    @jobs.job()
    def fails() -> None:
        raise ValueError

    old, failed = fine.dispatch(), fails.dispatch()
    two_hours_later = time.time_ns() // 1000 + 2 * 3600 * 1_000_000
    monkeypatch.setattr(jobs.driver, "now", lambda: two_hours_later)
    assert prune(jobs.driver, jobs.drivers, jobs.settings) == 1
    with pytest.raises(JobNotFound):
        old.status()
    assert failed.status().state == "failed"


def test_batches_go_with_their_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = app(tmp_path)

    @jobs.job()
    def fine() -> None: ...

    batch = jobs.batch([fine()]).dispatch()
    assert prune(jobs.driver, jobs.drivers, jobs.settings) == 0
    assert batch.status().finished
    two_hours_later = time.time_ns() // 1000 + 2 * 3600 * 1_000_000
    monkeypatch.setattr(jobs.driver, "now", lambda: two_hours_later)
    assert prune(jobs.driver, jobs.drivers, jobs.settings) == 1
    assert jobs.batches() == []


def test_young_jobs_stay(tmp_path: Path) -> None:
    jobs = app(tmp_path)

    @jobs.job()
    def fine() -> None: ...

    fine.dispatch()
    assert prune(jobs.driver, jobs.drivers, jobs.settings) == 0


def test_ticks_go_after_their_time_and_their_schedule_stays(tmp_path: Path) -> None:
    jobs = Tabur("database", database_url=f"sqlite:///{tmp_path}/jobs.sqlite3", keep_ticks=DAY)
    jobs.driver.migrate()
    schedules, now = jobs.driver.schedules, jobs.driver.now()
    record = ScheduleRecord("nightly", Origin.TABLE, b"{}", "0 0 * * *", "UTC", now)
    schedules.put([record])
    young, old = now - DAY // MICROSECOND + 10**9, now - DAY // MICROSECOND - 10**9
    moments = [*(old - n for n in range(10_100)), young]
    ticks = tuple(Tick("nightly", at, Decision.SKIPPED, now) for at in moments)
    assert schedules.advance([Advance("nightly", 1, now, ticks, now + 1)]) == [True]
    assert prune(jobs.driver, jobs.drivers, jobs.settings) == 0
    assert [each.due_at for each in schedules.ticks("nightly", limit=9)] == [young]
    assert schedules.find("nightly") is not None
    jobs.close()


def test_less_than_an_hour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least an hour"):
        app(tmp_path, keep=timedelta(minutes=59))


def test_files_of_unknown_jobs_are_swept_once_they_are_old(tmp_path: Path) -> None:
    jobs = app(tmp_path)

    @jobs.job()
    def report(ctx: JobContext) -> None:
        ctx.attach(b"rows", name="report.csv")

    kept = report.dispatch()
    folder = jobs.settings.attachments
    young, old, foreign = folder / str(uuid4()), folder / str(uuid4()), folder / "notes"
    for each in (young, old, foreign):
        each.mkdir()
    for each in (old, foreign, folder / kept.id):
        os.utime(each, (1, 1))
    assert sweep(jobs.drivers, jobs.settings) == 1
    assert not old.exists()
    assert young.exists()
    assert foreign.exists()
    assert (folder / kept.id / "1").read_bytes() == b"rows"


def test_without_a_folder_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    jobs = app(tmp_path)
    assert sweep(jobs.drivers, jobs.settings) == 0
