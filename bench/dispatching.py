"""Dispatch one by one and many, beside a bare insert of the same rows and beside huey."""

from __future__ import annotations

import time

from bench import bare, contestants
from bench.plan import Figures, Plan, fresh_place


def measure(plan: Plan, figures: Figures) -> None:
    """Jobs per second: one commit each, and many in one."""
    with fresh_place() as place, contestants.tabur(place) as ours:
        noop = ours.noop_async
        noop.dispatch(n=0)  # opens the store
        started = time.perf_counter()
        for n in range(plan.dispatched):
            noop.dispatch(n=n)
        figures.add("dispatch.one.tabur", plan.dispatched / (time.perf_counter() - started))

        started = time.perf_counter()
        ours.jobs.dispatch_many(noop(n=n) for n in range(plan.bulk))
        figures.add("dispatch.many.tabur", plan.bulk / (time.perf_counter() - started))

    with fresh_place() as place, bare.store(place) as store:
        started = time.perf_counter()
        for n in range(plan.dispatched):
            store.insert([n])
        figures.add("dispatch.one.bare", plan.dispatched / (time.perf_counter() - started))
        started = time.perf_counter()
        store.insert(range(plan.bulk))
        figures.add("dispatch.many.bare", plan.bulk / (time.perf_counter() - started))

    with fresh_place() as place, contestants.huey(place) as rival:
        rival.noop(0)
        started = time.perf_counter()
        for n in range(plan.dispatched):
            rival.noop(n)
        figures.add("dispatch.one.huey", plan.dispatched / (time.perf_counter() - started))
