"""Removing finished jobs, batches and ticks that are past their time, and files of nobody."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.jobs.definition import JobDefinition
from tabur.jobs.options import JobOptions
from tabur.model.clock import to_us
from tabur.model.keeping import Choice, Keep, Rules
from tabur.model.states import State

_log = logging.getLogger("tabur.worker")

#: Ticks or batches that are asked for at once.
_CHUNK = 10_000
#: A folder younger than this may belong to a job that is just writing it (seconds).
_YOUNG = 3600.0


class Pruner:
    """Prunes in a thread of its own, so that nothing waits for it."""

    def __init__(self, prune: Callable[[], object]) -> None:
        self._prune = prune
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Prune, unless that is going on."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="tabur-prune", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """The store is about to be closed: what goes wrong by that is not told."""
        self._stopped = True

    def wait(self, timeout: float) -> bool:
        """Whether it has come to its end within so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._prune()
        except StoreError as error:
            if not self._stopped:
                _log.warning("Pruning is left for later: %s", error)
        except Exception:
            if not self._stopped:
                _log.exception("Pruning failed, and is tried again in an hour")


def prune(
    driver: Driver,
    everywhere: Sequence[Driver],
    settings: Settings,
    jobs: Iterable[JobDefinition] = (),
) -> int:
    """Remove from one store the finished jobs that settings and `jobs` let go, page by page,
    batches that finished longer ago than `keep_completed`, and ticks older than `keep_ticks`;
    answers how many jobs. `everywhere`: the stores of the app, which share its attachments."""
    now = driver.now()
    rules = rules_of(settings, jobs)
    choice = Choice(rules, now)
    removed = 0
    for page in driver.retention.finished(before=rules.before(now)):
        removed += driver.retention.remove([job.id for job in page if choice.goes(job)])
    before = now - to_us(settings.keep_completed)
    while driver.batches.prune(before=before, limit=_CHUNK) == _CHUNK:
        pass
    before = now - to_us(settings.keep_ticks)
    while driver.schedules.prune(before=before, limit=_CHUNK) == _CHUNK:
        pass
    sweep(everywhere, settings)
    return removed


def rules_of(settings: Settings, jobs: Iterable[JobDefinition]) -> Rules:
    """How long finished jobs stay. A job that was dispatched under an alias is kept as its job."""
    completed, failed = to_us(settings.keep_completed), settings.keep_failed
    cancelled = settings.keep_cancelled
    default = {
        State.COMPLETED: completed,
        State.CANCELLED: completed if cancelled is None else to_us(cancelled),
    }
    if failed is not None:
        default[State.FAILED] = to_us(failed)
    by_name: dict[str, Keep] = {}
    for each in jobs:
        options = each.options
        own = _own(options)
        if own or options.keep_at_most is not None:
            keep = Keep(each.name, default | own, options.keep_at_most)
            by_name |= dict.fromkeys((each.name, *options.aliases), keep)
    return Rules(Keep("", default), by_name, most_bytes=settings.keep_bytes)


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


def _own(options: JobOptions) -> dict[State, int]:
    """What a job declares of each ending."""
    cancelled = options.keep_cancelled
    given = {
        State.COMPLETED: options.keep_completed,
        State.FAILED: options.keep_failed,
        State.CANCELLED: options.keep_completed if cancelled is None else cancelled,
    }
    return {state: span for state, span in given.items() if span is not None}
