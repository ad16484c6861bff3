"""Drains no-op jobs through real worker processes, ours and huey's, from the first to the last.

The clock starts when every process of the worker has run a job (start-up is not what is measured;
what ran before is not counted) and stops when the store holds no unfinished job any more.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import bare, contestants
from bench.ledger import executions, processes, refuse_unless_exact
from bench.plan import Figures, Place, Plan, fresh_place
from bench.processes import costs, huey_worker, running, tabur_worker

PATIENCE = 300.0  # seconds until a drain that does not end is given up


def measure(plan: Plan, figures: Figures) -> None:
    """Jobs per second, and microseconds of CPU a job, of all worker processes together."""
    for kind, process_count, slots in plan.drains:
        key = f"drain.{kind}.{process_count}x{slots}"
        with fresh_place() as place:
            rate, cpu = drain_tabur(
                place, kind=kind, jobs=plan.drained, processes=process_count, slots=slots
            )
        figures.add(key, rate)
        figures.add(f"{key}.cpu", cpu)
    for process_count in (1, 2):
        with fresh_place() as place:
            rate, cpu = drain_huey(place, jobs=plan.drained_by_huey, processes=process_count)
        figures.add(f"drain.huey.{process_count}", rate)
        figures.add(f"drain.huey.{process_count}.cpu", cpu)
    with fresh_place() as place, bare.store(place) as store:
        store.insert(range(plan.drained))
        started = time.perf_counter()
        drained = store.drain(batch=200)
        figures.add("drain.bare", drained / (time.perf_counter() - started))


def drain_tabur(
    place: Place, *, kind: str, jobs: int, processes: int, slots: int
) -> tuple[float, float]:
    with contestants.tabur(place) as app:
        noop = getattr(app, f"noop_{kind}")
        app.jobs.dispatch_many(noop(n=n) for n in range(jobs))
    command = tabur_worker(processes=processes, concurrency=slots)
    with contextlib.closing(sqlite3.connect(place.store)) as db:

        def unfinished() -> int:
            count: int = db.execute("SELECT COUNT(*) FROM jobs").fetchone()[0]
            return count

        return _drain(place, [command], jobs=jobs, processes=processes, unfinished=unfinished)


def drain_huey(place: Place, *, jobs: int, processes: int) -> tuple[float, float]:
    with contestants.huey(place) as app:
        for n in range(jobs):
            app.noop(n)
        return _drain(
            place,
            [huey_worker()] * processes,
            jobs=jobs,
            processes=processes,
            unfinished=app.huey.pending_count,
        )


def _drain(
    place: Place,
    commands: list[list[str]],
    *,
    jobs: int,
    processes: int,
    unfinished: Callable[[], int],
) -> tuple[float, float]:
    with contextlib.ExitStack() as workers, _log_shown_on_failure(place):
        started = [
            workers.enter_context(running(each, place.environment, log=place.log))
            for each in commands
        ]
        start = _all_at_work(place.ledger, started, processes=processes, jobs=jobs)
        deadline = time.monotonic() + PATIENCE
        while executions(place.ledger) < jobs or unfinished():
            if time.monotonic() > deadline:
                left = unfinished()
                raise TimeoutError(f"{executions(place.ledger)} of {jobs} ran, {left} unfinished")
            time.sleep(0.002)
        seconds = time.perf_counter() - start.at
        cpu = _cpu(started) - start.cpu
    refuse_unless_exact(place.ledger, jobs)
    counted = jobs - start.ran
    return counted / seconds, cpu / counted * 1e6


@contextlib.contextmanager
def _log_shown_on_failure(place: Place) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        print(place.log.read_text()[-3000:], file=sys.stderr)
        raise


@dataclass(frozen=True)
class Start:
    """Where counting begins: jobs that have run, the moment, CPU spent."""

    ran: int
    at: float
    cpu: float


def _all_at_work(
    ledger: Path, workers: list[psutil.Process], *, processes: int, jobs: int
) -> Start:
    """Waits for the first job of each process. Where one gets none within a second, or all jobs are
    done by then, counting begins with the first job seen: that worker's share is what it is."""
    deadline = time.monotonic() + 30
    first: Start | None = None
    while True:
        ran = executions(ledger)
        if ran:
            start = Start(ran, time.perf_counter(), _cpu(workers))
            if len(_workers_in(ledger)) >= processes:
                return start
            first = first or start
            if ran >= jobs or start.at - first.at > 1:
                return first
        alive = all(worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
        if time.monotonic() > deadline or not alive:
            raise TimeoutError("no job was run")
        time.sleep(0.001)


def _workers_in(ledger: Path) -> set[int]:
    return set(processes(ledger))


def _cpu(workers: list[psutil.Process]) -> float:
    return sum(cost.cpu for worker in workers for cost in costs(worker))
