"""Removing finished jobs, batches and ticks that are past their time, and files of nobody."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from uuid import UUID

from tabur.config import Settings
from tabur.drivers.contract import Driver, Filter
from tabur.model.clock import to_us
from tabur.model.states import State

#: Ticks or batches that are asked for at once.
_CHUNK = 10_000
#: A folder younger than this may belong to a job that is just writing it (seconds).
_YOUNG = 3600.0


def prune(driver: Driver, everywhere: Sequence[Driver], settings: Settings) -> int:
    """Remove completed and cancelled jobs older than `keep_completed` from one store, batches that
    finished so long ago, and ticks older than `keep_ticks`; answers how many jobs. Failed ones stay
    until somebody removes them.
    `everywhere`: the stores of the app, which share its attachments."""
    now = driver.now()
    before = now - to_us(settings.keep_completed)
    which = Filter(states=(State.COMPLETED, State.CANCELLED), ended_before=before)
    removed = driver.dispatching.forget(which)
    while driver.batches.prune(before=before, limit=_CHUNK) == _CHUNK:
        pass
    while driver.schedules.prune(before=now - to_us(settings.keep_ticks), limit=_CHUNK) == _CHUNK:
        pass
    sweep(everywhere, settings)
    return removed


def sweep(drivers: Sequence[Driver], settings: Settings) -> int:
    """Remove the attachments of jobs that no store knows any longer; answers how many jobs'
    folders."""
    if not settings.attachments.is_dir():
        return 0
    swept = 0
    for folder in settings.attachments.iterdir():
        try:
            job_id = UUID(folder.name).bytes
        except ValueError:
            continue
        old = time.time() - folder.stat().st_mtime > _YOUNG
        if old and all(driver.inspection.find(job_id) is None for driver in drivers):
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept
