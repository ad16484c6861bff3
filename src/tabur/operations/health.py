"""Is all well? The store, the workers, what waits with nobody to work it, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from tabur.drivers.contract import Driver
from tabur.errors import SchemaMissing, StoreError
from tabur.model.clock import SECOND, as_datetime
from tabur.model.records import WorkerRecord
from tabur.operations.reading import DEFAULT_THRESHOLD, Reading
from tabur.operations.results import Health, Problem, QueueLevel, Resting, WorkerSeen

#: A worker makes itself known right after its start; a process of the same number that began much
#: later is another one (seconds).
_SAME_PROCESS = 60.0
_MOST_FAILED = 10_000


def health(
    driver: Driver, *, threshold: int = DEFAULT_THRESHOLD, work: str = "tabur queue:work"
) -> Health:
    """Look at everything in one store once; `work` is the command of its workers. Never raises
    StoreError: what is wrong with the store is among the problems."""
    reading = Reading(driver)
    problems = list(_about_connection(driver.name))
    try:
        store = {name: str(value) for name, value in driver.check().items()}
        workers = tuple(_seen(each) for each in driver.workers.list())
        queues = tuple(reading.queues(threshold=threshold))
        resting = tuple(reading.resting())
        failed = reading.failed_count(at_most=_MOST_FAILED)
    except SchemaMissing as error:
        text, _, todo = str(error).partition(" Run: ")
        problems.append(Problem("error", text, todo or "tabur migrate"))
        return Health({}, (), (), 0, tuple(problems))
    except StoreError as error:
        url = "REDIS_URL" if driver.name == "redis" else "DATABASE_URL"
        problems.append(Problem("error", str(error), f"Check {url} and the store."))
        return Health({}, (), (), 0, tuple(problems))
    if (integrity := store.get("integrity", "ok")) != "ok":
        problems.append(
            Problem("error", f"The store is damaged: {integrity}", "Restore it from a backup.")
        )
    problems += _about_rest(resting)
    if driver.name not in ("sync", "memory"):
        problems += _about_work(workers, queues, work)
    if failed:
        many = f"{_MOST_FAILED:,} or more" if failed >= _MOST_FAILED else f"{failed:,}"
        noun = "job has" if failed == 1 else "jobs have"
        problems.append(Problem("note", f"{many} {noun} failed.", "tabur queue:failed"))
    return Health(store, workers, queues, failed, tuple(problems), resting)


def ignored_settings(environment: Mapping[str, str]) -> list[Problem]:
    """Settings that are understood, and have no effect here."""
    return [
        Problem(
            "note",
            f"{name}={value} is ignored: a running job is kept by its worker's beat, so it is "
            "never started a second time because it takes long.",
            "Nothing; it may be removed.",
        )
        for name, value in environment.items()
        if name.lower().endswith("retry_after")
    ] + [
        Problem(
            "note",
            f"{name}={value} is ignored: a worker that waits for jobs is woken by them.",
            "Nothing; it may be removed.",
        )
        for name, value in environment.items()
        if name.lower().endswith("block_for")
    ]


def _about_connection(connection: str) -> Iterable[Problem]:
    if connection == "sync":
        yield Problem(
            "warning",
            "QUEUE_CONNECTION=sync runs each job inside the request that dispatches it.",
            "Set QUEUE_CONNECTION=database and start: tabur queue:work",
        )
    elif connection == "memory":
        yield Problem(
            "warning",
            "QUEUE_CONNECTION=memory keeps jobs in the process that dispatches them; they are lost "
            "with it.",
            "Set QUEUE_CONNECTION=database, except in tests.",
        )


def _about_rest(resting: Iterable[Resting]) -> Iterable[Problem]:
    for each in resting:
        yield Problem("warning", each.told, each.todo)


def _about_work(
    workers: tuple[WorkerSeen, ...], queues: tuple[QueueLevel, ...], work: str
) -> Iterable[Problem]:
    working = [worker for worker in workers if worker.alive is not False]
    if gone := len(workers) - len(working):
        noun = "worker process is" if gone == 1 else "worker processes are"
        yield Problem(
            "error",
            f"{gone} {noun} gone without a word; what they held waits for another worker.",
            f"Start one: {work} (it takes the jobs over after 30 s).",
        )
    worked = {queue for worker in working for queue in worker.queues}
    left = [level for level in queues if level.pending and level.queue not in worked]
    for level in left:
        noun = "job waits" if level.pending == 1 else "jobs wait"
        yield Problem(
            "error",
            f"{level.pending:,} {noun} on queue {level.queue}, and no worker works it.",
            f"Start one: {work} --queue={level.queue}",
        )
    if not (working or left):
        yield Problem("warning", "No worker runs.", f"Start one: {work}")
    for level in queues:
        if level.status == "ALERT":
            yield Problem(
                "warning",
                f"Queue {level.queue} holds {level.size:,} jobs ({level.threshold:,} or more).",
                "Start more workers (--processes), or look at what it waits for.",
            )


def _seen(worker: WorkerRecord) -> WorkerSeen:
    return WorkerSeen(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        queues=worker.queues,
        started_at=as_datetime(worker.started_at),
        beats=worker.beats,
        alive=is_alive(worker),
    )


def is_alive(worker: WorkerRecord) -> bool | None:
    """Whether its process is there: of this host one look tells; a beat is a counter, and would
    have to be watched for half a minute."""
    if worker.host != socket.gethostname():
        return None
    import psutil

    try:
        process = psutil.Process(worker.pid)
        started: float = process.create_time()
        return (
            started <= worker.started_at / SECOND + _SAME_PROCESS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None
