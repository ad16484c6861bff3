"""Whether depth costs: jobs claimed and settled on an empty store, and while a million stand in it.

Through the driver, without running them: what is asked is what the store's depth does to a claim.
The million comes in turn by turn and stays: pending first; then the same as finished ones; then as
many scheduled beside them.
"""

from __future__ import annotations

import statistics

from bench.contestants import Open, opened
from bench.place import fresh_place
from bench.session import Session
from bench.stores import Store

BATCH = 200
LIMIT = 400.0


def measure(session: Session, store: Store) -> None:
    """Jobs per second and p99 of a claim in milliseconds, beside what stands in the store."""
    if not session.has("tabur", store):
        return
    plan = session.plan
    with (
        session.attempt(f"depth {store.name}", seconds=LIMIT),
        fresh_place(store) as place,
        opened(session.everybody["tabur"], place) as adapter,
    ):
        adapter.ask("dispatch_many", first=0, count=plan.measured)
        adapter.ask("claim_and_settle", count=plan.measured, batch=BATCH)  # paths are warm
        for standing in ("empty", "pending", "finished", "scheduled"):
            if standing == "pending":
                adapter.ask("dispatch_many", first=0, count=plan.standing)
            elif standing == "finished":
                adapter.ask("claim_and_settle", count=plan.standing, batch=500)
            elif standing == "scheduled":
                adapter.ask("schedule_many", first=0, count=plan.standing)
            store.calm()
            _claim_and_settle(session, store, adapter, standing)


def _claim_and_settle(session: Session, store: Store, adapter: Open, standing: str) -> None:
    """Dispatches as many as are claimed: what stands in the store stays."""
    count = session.plan.measured
    adapter.ask("dispatch_many", first=0, count=count)
    answer = adapter.ask("claim_and_settle", count=count, batch=BATCH)
    claims, settles = answer["claims"], answer["settles"]
    rate = count / (sum(claims) + sum(settles))
    p99 = statistics.quantiles(claims, n=100, method="inclusive")[98] * 1000
    session.figures.add(store.name, f"depth.{standing}", "tabur", rate)
    session.figures.add(store.name, f"depth.{standing}.p99", "tabur", p99)
