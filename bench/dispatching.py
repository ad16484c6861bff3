"""Dispatch one by one and many, beside a bare insert of the same rows and beside huey."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from bench import bare, contestants
from bench.plan import Figures, Plan, fresh_place

TURNS = 10  # the three alternate, so that what else the machine does falls on all of them


def measure(plan: Plan, figures: Figures) -> None:
    """Jobs per second: one commit each, and many in one."""
    with (
        fresh_place() as place,
        contestants.tabur(place) as ours,
        contestants.huey(place) as rival,
        bare.store(place) as store,
    ):
        noop = ours.noop_async
        ways: dict[str, Callable[[int], object]] = {
            "tabur": lambda n: noop.dispatch(n=n),
            "bare": lambda n: store.insert([n]),
            "huey": rival.noop,
        }
        spent = dict.fromkeys(ways, 0.0)
        for way in ways.values():
            way(0)  # opens the store
        for _ in range(TURNS):
            for name, way in ways.items():
                spent[name] += _seconds(way, range(plan.dispatched // TURNS))
        for name, seconds in spent.items():
            figures.add(f"dispatch.one.{name}", plan.dispatched / seconds)

        started = time.perf_counter()
        ours.jobs.dispatch_many(noop(n=n) for n in range(plan.bulk))
        figures.add("dispatch.many.tabur", plan.bulk / (time.perf_counter() - started))

        started = time.perf_counter()
        store.insert(range(plan.bulk))
        figures.add("dispatch.many.bare", plan.bulk / (time.perf_counter() - started))


def _seconds(way: Callable[[int], object], numbers: Iterable[int]) -> float:
    started = time.perf_counter()
    for n in numbers:
        way(n)
    return time.perf_counter() - started
