"""Tabur as the bench asks it: its own interface, and `tabur queue:work`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from bench import noop_app
from bench.adapter import BaseAdapter, python
from tabur.drivers.contract import Exchange
from tabur.model.ids import new_token
from tabur.model.outcome import Ending, Transition
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation, State

WORKER = "bench"
PIECE = 100_000  # handles kept in memory at once


class Adapter(BaseAdapter):
    """`BENCH_KIND` says which job: async (the default), or def; or batch: many async ones are
    dispatched as one."""

    def __init__(self) -> None:
        self._jobs = noop_app.jobs
        kind = os.environ.get("BENCH_KIND", "async")
        self._noop = noop_app.noop_def if kind == "def" else noop_app.noop_async
        self._batched = kind == "batch"

    def prepare(self) -> None:
        self._jobs.migrate()

    def dispatch(self, n: int) -> None:
        self._noop.dispatch(n=n)

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        dispatch = self._noop.dispatch
        for n in numbers:
            dispatch(n=n)

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        noop = self._noop
        for first in range(0, len(numbers), PIECE):
            piece = (noop(n=n) for n in numbers[first : first + PIECE])
            if self._batched:
                self._jobs.batch([*piece]).dispatch()
            else:
                self._jobs.dispatch_many(piece)

    def schedule_many(self, numbers: Sequence[int]) -> None:
        later = self._noop.options(delay=timedelta(days=365))
        for first in range(0, len(numbers), PIECE):
            self._jobs.dispatch_many(later(n=n) for n in numbers[first : first + PIECE])

    def unfinished(self) -> int:
        """By queue: what has ended is not looked at, however much there is."""
        return sum(queue.size for queue in self._jobs.driver.inspection.queues())

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        worker = ["-m", "tabur", "--app", "bench.noop_app:jobs", "queue:work", "--quiet"]
        sizes = ["--processes", str(processes), "--concurrency", str(slots)]
        return [python(*worker, *sizes)]

    def claim_and_settle(self, count: int, batch: int) -> tuple[list[float], list[float]]:
        exchange = self._jobs.driver.claiming.exchange
        isolation = Isolation.LOOP
        claims, settles = [], []
        left = count
        while left > 0:
            turn = Exchange(
                worker=WORKER,
                token=new_token(),
                queues=["default"],
                slots={isolation: min(batch, left)},
            )
            began = time.perf_counter()
            claimed = exchange(turn).claimed
            middle = time.perf_counter()
            if not claimed:
                raise RuntimeError(f"{left} of {count} could not be claimed")
            exchange(Exchange(worker=WORKER, settle=[_completed(job) for job in claimed]))
            claims.append(middle - began)
            settles.append(time.perf_counter() - middle)
            left -= len(claimed)
        return claims, settles

    def close(self) -> None:
        self._jobs.close()


def _completed(job: ClaimedJob) -> Transition:
    return Transition(
        id=job.id,
        token=job.token,
        to=State.COMPLETED,
        ending=Ending.COMPLETED,
        attempts=job.attempts + 1,
        exceptions=job.exceptions,
        crashes=job.crashes,
        worker=WORKER,
        started_at=job.created_at,
        ended_at=job.created_at + 1_000,
        result=b"null",
    )
