"""What a worker with nothing to do costs: CPU, statements a second, and memory."""

from __future__ import annotations

import time

from bench.contestants import Contestant, opened
from bench.ledger import executions
from bench.place import fresh_place
from bench.processes import Cost, costs
from bench.session import Session
from bench.stores import Store

AFTER = 5.0  # seconds: what follows a job is not idleness
AFTER_POLLING = {"mariadb": 11.0}  # polled fast for ten seconds after work


def measure(session: Session, store: Store) -> None:
    """One process with the settings of a quick pick-up, after it has run two jobs."""
    for contestant in session.workers(store):
        ours = contestant.name == "tabur"
        seconds = session.plan.idle_seconds if ours else session.plan.rival_idle_seconds
        if not seconds:
            continue
        with session.attempt(f"idle {store.name} {contestant.name}", seconds=seconds + 60):
            _idle(session, store, contestant, seconds)


def _idle(session: Session, store: Store, contestant: Contestant, seconds: float) -> None:
    with fresh_place(store) as place:
        store.count_statements(place.url)
        with (
            opened(contestant, place) as adapter,
            adapter.working(adapter.ask("quick_workers")["commands"]) as workers,
        ):
            for n in range(2):
                adapter.ask("dispatch_each", first=n, count=1)
            while executions(place.ledger) < 2:
                adapter.refuse_dead()
                time.sleep(0.01)
            time.sleep(min(AFTER_POLLING.get(store.name, AFTER), seconds))
            before = {cost.pid: cost for worker in workers for cost in costs(worker)}
            asked = store.statements(place.url)
            time.sleep(seconds)
            sent = store.statements(place.url)
            after = [cost for worker in workers for cost in costs(worker)]

    def keep(row: str, value: float) -> None:
        session.figures.add(store.name, row, contestant.name, value)

    spent = sum(cost.cpu - _cpu(before, cost) for cost in after)
    keep("idle.cpu", spent / seconds * 100)
    if asked is not None and sent is not None:
        keep("idle.statements", (sent - asked) / seconds)
    children = [cost for cost in after if cost.role == "child"] or after
    keep("memory.child", max(cost.rss for cost in children))
    keep("memory.all", sum(cost.uss for cost in after))


def _cpu(before: dict[int, Cost], cost: Cost) -> float:
    return before[cost.pid].cpu if cost.pid in before else 0.0
