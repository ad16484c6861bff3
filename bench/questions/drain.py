"""Drains no-op jobs through real worker processes, ours and the rivals', first to last.

The clock starts when every process of the worker has run a job (start-up is not what is measured;
what ran before is not counted) and stops when all have run and the store holds no unfinished job.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.contestants import Contestant, Open, opened
from bench.ledger import executions, processes, refuse_unless_exact
from bench.place import fresh_place
from bench.processes import cpu
from bench.session import Session
from bench.stores import Store

LIMIT = 150.0  # seconds for one drain with its fill
BATCH = 200


def measure(session: Session, store: Store) -> None:
    """Jobs per second; microseconds of CPU a job, of all worker processes and of the server."""
    plan = session.plan
    everybody = session.everybody
    if session.has("tabur", store):
        for kind, count, slots, share in plan.drains:
            row = f"drain.{kind}.{count}x{slots}"
            jobs = round(everybody["tabur"].stores[store.name].drained * share * plan.share)
            with session.attempt(f"{row} {store.name} tabur", seconds=LIMIT):
                drained = drain(
                    everybody["tabur"],
                    store,
                    jobs,
                    count,
                    slots=slots,
                    environment={"BENCH_KIND": kind},
                )
                _keep(session, store, row, "tabur", drained)
    for rival in session.rivals(store):
        jobs = max(round(rival.stores[store.name].drained * plan.share), 100)
        for count in plan.rival_drains:
            row = f"drain.{count}"
            with session.attempt(f"{row} {store.name} {rival.name}", seconds=LIMIT):
                _keep(session, store, row, rival.name, drain(rival, store, jobs, count, slots=200))
    if session.has("bare", store):
        with session.attempt(f"drain {store.name} bare", seconds=LIMIT):
            _bare(session, store)


@dataclass(frozen=True)
class Drained:
    rate: float
    cpu: float
    server: float


def drain(
    contestant: Contestant,
    store: Store,
    jobs: int,
    count: int,
    *,
    slots: int,
    environment: dict[str, str] | None = None,
) -> Drained:
    """Raises WrongCountError where a job was lost or doubled, TimeoutError where none runs."""
    with fresh_place(store) as place, opened(contestant, place, **(environment or {})) as adapter:
        adapter.dispatch(jobs)
        store.calm()
        commands = adapter.ask("workers", processes=count, slots=slots)["commands"]
        with adapter.working(commands) as workers:
            start = _all_at_work(adapter, workers, store, processes_expected=count, jobs=jobs)
            while executions(place.ledger) < jobs:
                adapter.refuse_dead()
                time.sleep(0.002)
            while adapter.unfinished():
                adapter.refuse_dead()
                time.sleep(0.002)
            seconds = time.perf_counter() - start.at
            spent = cpu(workers) - start.cpu, store.cpu() - start.server
        refuse_unless_exact(place.ledger, jobs)
    counted = jobs - start.ran
    if not counted:
        raise TimeoutError(f"{jobs} jobs are too few: all had run before every process had begun")
    return Drained(counted / seconds, *(each / counted * 1e6 for each in spent))


def _keep(session: Session, store: Store, row: str, name: str, drained: Drained) -> None:
    session.figures.add(store.name, row, name, drained.rate)
    session.figures.add(store.name, f"{row}.cpu", name, drained.cpu)
    if drained.server:
        session.figures.add(store.name, f"{row}.server", name, drained.server)


def _bare(session: Session, store: Store) -> None:
    jobs = round(session.everybody["bare"].stores[store.name].bulk * session.plan.share)
    with fresh_place(store) as place, opened(session.everybody["bare"], place) as adapter:
        adapter.dispatch(jobs)
        store.calm()
        before = store.cpu()
        answer = adapter.ask("drain", batch=BATCH)
        assert answer["count"] == jobs, f"{answer['count']} of {jobs} drained"
        session.figures.add(store.name, "drain.1", "bare", jobs / answer["seconds"])
        if spent := store.cpu() - before:
            session.figures.add(store.name, "drain.1.server", "bare", spent / jobs * 1e6)


@dataclass(frozen=True)
class Start:
    """Where counting begins: jobs that have run, the moment, seconds of CPU spent."""

    ran: int
    at: float
    cpu: float
    server: float


def _all_at_work(
    adapter: Open,
    workers: list[psutil.Process],
    store: Store,
    *,
    processes_expected: int,
    jobs: int,
) -> Start:
    """Waits for the first job of each process. Where one gets none within a second, or all jobs are
    done by then, counting begins with the first job seen: that worker's share is what it is."""
    ledger = adapter.place.ledger
    first: Start | None = None
    while True:
        ran = executions(ledger)
        if ran:
            start = Start(ran, time.perf_counter(), cpu(workers), store.cpu())
            if len(_workers_in(ledger)) >= processes_expected:
                return start
            first = first or start
            if ran >= jobs or start.at - first.at > 1:
                return first
        adapter.refuse_dead()
        time.sleep(0.001)


def _workers_in(ledger: Path) -> set[int]:
    return set(processes(ledger))
