"""Pick-up on an idle worker: from before the dispatch to the job's first line, in milliseconds."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from bench import contestants
from bench.ledger import ENTRY
from bench.plan import Figures, Place, Plan, fresh_place
from bench.processes import huey_worker, running, tabur_worker


def measure(plan: Plan, figures: Figures) -> None:
    """The clock is CLOCK_MONOTONIC, which all processes of a machine share; the answer comes
    through a fifo, so that waiting for it costs the worker nothing."""
    with fresh_place() as place:
        answers = _fifo(place)
        with (
            contestants.tabur(place) as app,
            running(tabur_worker(processes=1, concurrency=10), place.environment, log=place.log),
        ):
            for kind in ("async", "def"):
                dispatch = _dispatching(app, kind)
                _keep(figures, f"pickup.{kind}", _pick_ups(dispatch, answers, plan.picked_up))
        os.close(answers)
    with fresh_place() as place:
        answers = _fifo(place)
        with (
            contestants.huey(place) as app,
            running(huey_worker(), place.environment, log=place.log),
        ):
            _keep(figures, "pickup.huey", _pick_ups(app.noop, answers, plan.picked_up))
        os.close(answers)


def _dispatching(app: ModuleType, kind: str) -> Callable[[int], object]:
    noop = getattr(app, f"noop_{kind}")
    return lambda n: noop.dispatch(n=n)


def _pick_ups(dispatch: Callable[[int], object], answers: int, count: int) -> list[float]:
    """Milliseconds of each of `count` jobs, with pauses in which the worker falls idle."""
    _one(dispatch, answers, -1)  # the worker has started, the job's path is warm
    waits = []
    for n in range(count):
        time.sleep(random.uniform(0.02, 0.12))
        waits.append(_one(dispatch, answers, n))
    return waits


def _one(dispatch: Callable[[int], object], answers: int, n: int) -> float:
    before = time.monotonic_ns()
    dispatch(n)
    number, _, first_line = ENTRY.unpack(os.read(answers, ENTRY.size))
    assert number == n, f"job {number} answered, {n} was asked"
    waited: int = first_line - before
    return waited / 1e6


def _keep(figures: Figures, key: str, waits: list[float]) -> None:
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    for percent in (50, 95, 99):
        figures.add(f"{key}.p{percent}", cuts[percent - 1])


def _fifo(place: Place) -> int:
    """The ledger of this place as a fifo; its reading end, which is also held open for writing."""
    path = Path(place.ledger)
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)
