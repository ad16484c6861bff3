"""Pick-up on an idle worker: from before the dispatch to the job's first line, in milliseconds."""

from __future__ import annotations

import os
import statistics

from bench.contestants import Contestant, opened
from bench.place import fresh_place
from bench.session import Session
from bench.stores import Store

PAUSE = (0.02, 0.12)  # seconds between two, shortest and longest: the worker falls idle
LATE = (11.0, 13.0)  # a polling worker has slowed down by then
LATE_STORES = ("mariadb",)


def measure(session: Session, store: Store) -> None:
    """p50, p95 and p99; where stores are polled, also after long idleness."""
    for contestant in session.workers(store):
        with session.attempt(f"pickup {store.name} {contestant.name}", seconds=90):
            waits = _pick_ups(contestant, store, session.plan.picked_up, PAUSE)
            cuts = statistics.quantiles(waits, n=100, method="inclusive")
            for percent in (50, 95, 99):
                session.figures.add(
                    store.name, f"pickup.p{percent}", contestant.name, cuts[percent - 1]
                )
    late = session.plan.late_pick_ups if store.name in LATE_STORES else 0
    if late and not session.repetition and session.has("tabur", store):
        with session.attempt(f"pickup {store.name} late", seconds=late * LATE[1] + 30):
            waits = _pick_ups(session.everybody["tabur"], store, late, LATE)
            session.figures.add(store.name, "pickup.late.p50", "tabur", statistics.median(waits))
            session.figures.add(store.name, "pickup.late.max", "tabur", max(waits))


def _pick_ups(
    contestant: Contestant, store: Store, count: int, pause: tuple[float, float]
) -> list[float]:
    """The answers come through a fifo, so that waiting for them costs the worker nothing."""
    with fresh_place(store) as place:
        os.mkfifo(place.ledger)
        held = os.open(place.ledger, os.O_RDWR)  # who opens one end alone would wait
        try:
            with opened(contestant, place) as adapter:
                commands = adapter.ask("quick_workers")["commands"]
                with adapter.working(commands):
                    # The worker has started, the job's path is warm.
                    adapter.ask("pick_ups", count=3, first=0, pause=[0.1, 0.1])
                    answer = adapter.ask("pick_ups", count=count, first=3, pause=pause)
        finally:
            os.close(held)
    waits: list[float] = answer["milliseconds"]
    return waits
