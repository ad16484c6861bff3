"""A worker's turns without a worker: jobs brought in by the thousand, claimed and settled."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tabur.drivers.contract import Driver, Exchange
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Ending, Transition
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation, State

PIECE = 5_000
WORKER = "chaos"
YEAR = 365 * 86_400 * SECOND


def bring(driver: Driver, count: int, *, scheduled: bool = False) -> None:
    """Dispatches so many jobs: pending, or due in a year."""
    for size in _pieces(count, PIECE):
        now = now_us()
        due = now + YEAR if scheduled else None
        driver.dispatching.dispatch([_job(now, due) for _ in range(size)])


def drain(driver: Driver, count: int, *, batch: int) -> tuple[list[float], list[float]]:
    """Claims and settles so many; seconds of each claim and of each settle."""
    claims, settles = [], []
    for size in _pieces(count, batch):
        turn = Exchange(
            worker=WORKER, token=new_token(), queues=("default",), slots={Isolation.LOOP: size}
        )
        began = time.perf_counter()
        claimed = driver.claiming.exchange(turn).claimed
        middle = time.perf_counter()
        if len(claimed) != size:
            raise AssertionError(f"{len(claimed)} claimed where {size} were pending")
        driver.claiming.exchange(
            Exchange(worker=WORKER, settle=[_completed(job) for job in claimed])
        )
        claims.append(middle - began)
        settles.append(time.perf_counter() - middle)
    return claims, settles


def _pieces(count: int, size: int) -> Iterator[int]:
    while count > 0:
        yield min(size, count)
        count -= size


def _job(now: int, due: int | None) -> NewJob:
    return NewJob(
        id=new_id(),
        name="light",
        queue="default",
        isolation=Isolation.LOOP,
        payload=b'{"number":1}',
        created_at=now,
        due_at=due,
    )


def _completed(job: ClaimedJob) -> Transition:
    now = now_us()
    return Transition(
        id=job.id,
        token=job.token,
        to=State.COMPLETED,
        ending=Ending.COMPLETED,
        attempts=job.attempts + 1,
        exceptions=job.exceptions,
        crashes=job.crashes,
        worker=WORKER,
        started_at=now,
        ended_at=now,
        result=b"null",
    )
