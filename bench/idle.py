"""What a worker with nothing to do costs: CPU over a minute, and memory."""

from __future__ import annotations

import time

from bench import contestants
from bench.ledger import executions
from bench.plan import Figures, Plan, fresh_place
from bench.processes import Cost, costs, running, tabur_worker, wait_until


def measure(plan: Plan, figures: Figures) -> None:
    """One child with the default slots, after it has run a job of each kind."""
    command = tabur_worker(processes=1, concurrency=10)
    with (
        fresh_place() as place,
        contestants.tabur(place) as app,
        running(command, place.environment, log=place.log) as worker,
    ):
        app.noop_async.dispatch(n=0)
        app.noop_def.dispatch(n=1)
        wait_until(lambda: executions(place.ledger) == 2, seconds=30, what="both jobs have run")
        time.sleep(min(3.0, plan.idle_seconds))  # what follows a job is not idleness
        before = {cost.pid: cost for cost in costs(worker)}
        time.sleep(plan.idle_seconds)
        after = costs(worker)
    for role in ("supervisor", "child", "helper"):
        ours = [cost for cost in after if cost.role == role]
        spent = sum(cost.cpu - _cpu(before, cost) for cost in ours)
        figures.add(f"idle.{role}", spent / plan.idle_seconds * 100)
        figures.add(f"memory.{role}.rss", sum(cost.rss for cost in ours))
        figures.add(f"memory.{role}.uss", sum(cost.uss for cost in ours))
    spent = sum(cost.cpu - _cpu(before, cost) for cost in after)
    figures.add("idle.all", spent / plan.idle_seconds * 100)


def _cpu(before: dict[int, Cost], cost: Cost) -> float:
    return before[cost.pid].cpu if cost.pid in before else 0.0
