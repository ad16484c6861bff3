"""Numbers for scalers outside (KEDA, an autoscaler, a script): how full each queue is, and how many
processes it needs. All of it comes from the store, so that any process on any host can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from tabur.drivers.contract import Driver
from tabur.model.clock import SECOND
from tabur.model.records import ALL_QUEUES, Signals, WorkerRecord
from tabur.model.scaling import TARGET, Level, Limits, enough, wanted
from tabur.operations.health import is_alive

#: Jobs that wait are counted this far at least.
COUNTED = 100_000


class QueueScale(msgspec.Struct, frozen=True):
    """A queue as a scaler needs it.

    `pending`: jobs that could start now, counted up to 100,000; `oldest`: seconds since the first
    in line was dispatched; `arrivals`: jobs a second (what its workers take, where no supervisor
    balances it), None where its workers work other queues too; `service`: mean seconds that a job
    runs, None before one has ended; `processes`: that work it, of all hosts; `wanted`: how many it
    needs in all.
    """

    connection: str
    queue: str
    pending: int
    oldest: float | None
    arrivals: float | None
    service: float | None
    processes: int
    wanted: int
    paused: bool


def scaling(
    driver: Driver,
    queues: Collection[str],
    *,
    slots: Mapping[str, int],
    limits: Limits,
    target: float = TARGET,
) -> list[QueueScale]:
    """Each queue once. `slots`: how many jobs one process runs at once, by queue; `target`: seconds
    in which what waits is to be worked off. Raises StoreUnavailable, SchemaMissing."""
    workers = [each for each in driver.workers.list() if is_alive(each) is not False]
    signals = driver.control.signals()
    return [
        _scale(driver, queue, workers, signals, slots=slots[queue], limits=limits, target=target)
        for queue in queues
    ]


def _scale(
    driver: Driver,
    queue: str,
    workers: Iterable[WorkerRecord],
    signals: Signals,
    *,
    slots: int,
    limits: Limits,
    target: float,
) -> QueueScale:
    own = [each for each in workers if queue in each.queues]
    rate, service = arrivals(own), _service(own)
    level = Level(
        queue,
        0,
        arrivals=rate or 0.0,
        service=service,
        running=0 if rate is None else _running(own),
        slots=slots,
        paused=_is_paused(queue, signals),
    )
    most = max(COUNTED, enough(level, limits, target))
    backlog = driver.inspection.backlog(queue, at_most=most)
    level = msgspec.structs.replace(level, pending=backlog.pending)
    waited = None if backlog.oldest is None else max(0, signals.now - backlog.oldest) / SECOND
    return QueueScale(
        connection=driver.name,
        queue=queue,
        pending=backlog.pending,
        oldest=waited,
        arrivals=rate,
        service=service,
        processes=len(own),
        wanted=wanted(level, limits, target),
        paused=level.paused,
    )


def arrivals(workers: Sequence[WorkerRecord]) -> float | None:
    """Jobs a second that come to a queue's workers; None where they work others too."""
    if any(len(each.queues) > 1 for each in workers):
        return None
    return sum(each.pace.rate for each in workers if each.pace is not None)


def _running(workers: Iterable[WorkerRecord]) -> int:
    return sum(each.pace.running for each in workers if each.pace is not None)


def _service(workers: Iterable[WorkerRecord]) -> float | None:
    """Who has run more counts for more."""
    known = [
        (each.pace.service, each.pace.rate)
        for each in workers
        if each.pace is not None and each.pace.service is not None
    ]
    if not known:
        return None
    total = sum(rate for _, rate in known)
    if total <= 0:
        return sum(service for service, _ in known) / len(known)
    return sum(service * rate for service, rate in known) / total


def _is_paused(queue: str, signals: Signals) -> bool:
    return signals.hold is not None or any(
        each.queue in (queue, ALL_QUEUES) for each in signals.pauses
    )


_GAUGES = {
    "pending": ("tabur_queue_pending", "Jobs that could start now."),
    "oldest": ("tabur_queue_oldest_seconds", "Age of the first in line; 0: none waits."),
    "arrivals": ("tabur_queue_arrivals_per_second", "Jobs that come, a second."),
    "service": ("tabur_queue_service_seconds", "Mean time that a job runs."),
    "processes": ("tabur_queue_processes", "Worker processes that work it."),
    "wanted": ("tabur_queue_processes_wanted", "Worker processes that it needs."),
    "paused": ("tabur_queue_paused", "1: nothing is taken from it."),
}


def exposition(scales: Sequence[QueueScale]) -> str:
    """In the text format of Prometheus. What is not known is left out; an age is 0 where none
    waits."""
    return "".join(f"{line}\n" for line in _lines(scales))


def _lines(scales: Sequence[QueueScale]) -> Iterator[str]:
    for field, (name, meaning) in _GAUGES.items():
        yield f"# HELP {name} {meaning}"
        yield f"# TYPE {name} gauge"
        for each in scales:
            value = getattr(each, field)
            if value is None and field == "oldest":
                value = 0
            if value is not None:
                labels = f'connection="{_escaped(each.connection)}",queue="{_escaped(each.queue)}"'
                yield f"{name}{{{labels}}} {float(value):.10g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class SupervisorShown(msgspec.Struct, frozen=True):
    """A supervisor as its worker processes tell of it. `queues`: how many processes work each."""

    connection: str
    id: str
    host: str
    queues: dict[str, int]
    processes: int


def supervisors(*drivers: Driver) -> list[SupervisorShown]:
    """Those that have a worker process, by connection and id."""
    shown = []
    for driver in drivers:
        found: dict[str, list[WorkerRecord]] = {}
        for worker in driver.workers.list():
            if is_alive(worker) is not False:
                found.setdefault(worker.supervisor, []).append(worker)
        for supervisor, workers in sorted(found.items()):
            queues: dict[str, int] = {}
            for queue in (queue for each in workers for queue in each.queues):
                queues[queue] = queues.get(queue, 0) + 1
            shown.append(
                SupervisorShown(driver.name, supervisor, workers[0].host, queues, len(workers))
            )
    return shown
