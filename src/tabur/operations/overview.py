"""All that a person looks at while it works: queues, workers, what runs, what failed, what is next.
The same few questions each time, however much there is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tabur.drivers.contract import Driver, Filter
from tabur.errors import StoreError
from tabur.model.clock import SECOND, as_datetime
from tabur.model.ids import id_text
from tabur.model.records import JobRecord, WorkerRecord
from tabur.model.schedules import ScheduleRecord
from tabur.model.states import State
from tabur.operations.health import is_alive
from tabur.operations.reading import DEFAULT_THRESHOLD, level, rests_of
from tabur.operations.results import QueueLevel
from tabur.operations.scaling import arrivals

#: Rows of each kind that are told, and how far is counted and looked.
ROWS, COUNTED, LOOKED = 12, 10_000, 500
HOUR = 3600 * SECOND


class QueueNow(msgspec.Struct, frozen=True):
    """`rate`: jobs a second that come, None where its workers work other queues too; `oldest`:
    seconds that the first in line has waited."""

    level: QueueLevel
    oldest: float | None
    rate: float | None
    processes: int


class WorkerNow(msgspec.Struct, frozen=True):
    """`service`: mean seconds that its jobs run."""

    id: str
    host: str
    pid: int
    queues: tuple[str, ...]
    alive: bool | None
    rate: float | None
    service: float | None
    running: int | None


class RunNow(msgspec.Struct, frozen=True):
    """A job that runs. `seconds`: since it was claimed, by the store's clock."""

    id: str
    job: str
    queue: str
    worker: str | None
    seconds: float | None
    percent: int | None
    message: str | None
    tenant: str | None


class FailedNow(msgspec.Struct, frozen=True):
    id: str
    job: str
    queue: str
    failed_at: datetime | None
    exception: str | None


class ScheduleNow(msgspec.Struct, frozen=True):
    """`due_in`: seconds, below 0 where it is late."""

    name: str
    cron_expression: str
    due_in: float


class Overview(msgspec.Struct, frozen=True):
    """One store at one moment of its clock. `error`: why nothing else is known. `failed_lately`:
    within an hour; `at_least`: or more."""

    connection: str
    now: datetime | None = None
    error: str | None = None
    queues: tuple[QueueNow, ...] = ()
    workers: tuple[WorkerNow, ...] = ()
    running: tuple[RunNow, ...] = ()
    failed_lately: int = 0
    at_least: bool = False
    failures: tuple[FailedNow, ...] = ()
    schedules: tuple[ScheduleNow, ...] = ()
    held: str | None = None


def overview(driver: Driver) -> Overview:
    """Ten questions to the store at most. A store that is away is told, not raised."""
    try:
        return _overview(driver)
    except StoreError as error:
        return Overview(driver.name, error=" ".join(str(error).split()))


def _overview(driver: Driver) -> Overview:
    signals = driver.control.signals()
    workers = driver.workers.list()
    resting = rests_of(driver.name, signals)
    lately, at_least, failures = _failures(driver, signals.now)
    running = driver.inspection.list(Filter(states=(State.PROCESSING,)), limit=ROWS)
    return Overview(
        connection=driver.name,
        now=as_datetime(signals.now),
        queues=tuple(
            _queue(level(driver.name, each, DEFAULT_THRESHOLD, resting), workers, signals.now)
            for each in driver.inspection.queues()
        ),
        workers=tuple(_worker(each) for each in workers),
        running=tuple(_run(each, signals.now) for each in running),
        failed_lately=lately,
        at_least=at_least,
        failures=failures,
        schedules=_next(driver.schedules.list(limit=LOOKED), signals.now),
        held=signals.hold.reason if signals.hold is not None else None,
    )


def _queue(found: QueueLevel, workers: Sequence[WorkerRecord], now: int) -> QueueNow:
    own = [each for each in workers if found.queue in each.queues]
    since = found.oldest_pending
    oldest = None if since is None else max(0.0, now / SECOND - since.timestamp())
    return QueueNow(found, oldest, arrivals(own) if own else None, len(own))


def _worker(worker: WorkerRecord) -> WorkerNow:
    pace = worker.pace
    return WorkerNow(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        queues=worker.queues,
        alive=is_alive(worker),
        rate=None if pace is None else pace.rate,
        service=None if pace is None else pace.service,
        running=None if pace is None else pace.running,
    )


def _run(record: JobRecord, now: int) -> RunNow:
    since = record.claimed_at
    return RunNow(
        id=id_text(record.id),
        job=record.name,
        queue=record.queue,
        worker=record.worker,
        seconds=None if since is None else max(0, now - since) / SECOND,
        percent=record.progress.percent,
        message=record.progress.message,
        tenant=record.tenant,
    )


def _failures(driver: Driver, now: int) -> tuple[int, bool, tuple[FailedNow, ...]]:
    """How many failed within an hour, whether there may be more, and the latest of those."""
    inspection = driver.inspection
    failed = Filter(states=(State.FAILED,))
    page = inspection.list(failed, limit=LOOKED)
    lately = [each for each in page if each.ended_at is not None and each.ended_at > now - HOUR]
    latest = sorted(lately, key=lambda each: each.ended_at or 0, reverse=True)[:ROWS]
    shown = tuple(
        FailedNow(
            id_text(each.id),
            each.name,
            each.queue,
            as_datetime(each.ended_at),
            each.error.type if each.error else None,
        )
        for each in latest
    )
    if len(page) < LOOKED:
        return len(lately), False, shown
    total = inspection.count(failed, at_most=COUNTED)
    if total >= COUNTED:
        return len(lately), True, shown
    before = Filter(states=(State.FAILED,), ended_before=now - HOUR)
    return max(len(lately), total - inspection.count(before, at_most=COUNTED)), False, shown


def _next(schedules: Sequence[ScheduleRecord], now: int) -> tuple[ScheduleNow, ...]:
    due = [each for each in schedules if each.is_active and each.next_run_at is not None]
    due.sort(key=lambda each: each.next_run_at or 0)
    return tuple(
        ScheduleNow(each.name, each.cron_expression, ((each.next_run_at or 0) - now) / SECOND)
        for each in due[:ROWS]
    )
