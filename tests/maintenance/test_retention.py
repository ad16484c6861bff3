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


def test_young_jobs_stay(tmp_path: Path) -> None:
    jobs = app(tmp_path)

    @jobs.job()
    def fine() -> None: ...

    fine.dispatch()
    assert prune(jobs.driver, jobs.drivers, jobs.settings) == 0


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
