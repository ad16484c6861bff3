"""Dispatch and drain at once, for minutes: whether the rate of the first minute stays.

One process dispatches by the thousand and keeps some jobs waiting; one worker process drains them.
"""

from __future__ import annotations

import statistics
import time

from bench.contestants import Contestant, opened
from bench.ledger import executions, refuse_unless_exact
from bench.place import fresh_place
from bench.session import Session
from bench.stores import Store

EVERY = 10.0  # seconds between two looks
MINUTE = 60.0


def measure(session: Session, store: Store) -> None:
    """Jobs per second of each ten seconds; of the first and of the last minute."""
    for contestant in session.workers(store):
        if not contestant.stores[store.name].bulk:
            continue  # it cannot be fed by the thousand
        seconds = session.plan.minutes * 60
        limit = seconds + 240
        with session.attempt(f"sustained {store.name} {contestant.name}", seconds=limit):
            _sustain(session, store, contestant, seconds)


def _sustain(session: Session, store: Store, contestant: Contestant, seconds: float) -> None:
    plan, figures = session.plan, session.figures
    every = min(EVERY, seconds / 6)
    rates: list[float] = []
    figures.series[f"{store.name}.sustained.{contestant.name}"] = rates  # kept as it comes
    with fresh_place(store) as place, opened(contestant, place) as adapter:
        adapter.dispatch(plan.backlog)  # runs twice: these numbers come again, uncounted
        commands = adapter.ask("workers", processes=1, slots=200)["commands"]
        with adapter.working(commands):
            while executions(place.ledger) < plan.backlog or adapter.unfinished():
                adapter.refuse_dead()
                time.sleep(0.01)
            with place.ledger.open("wb"):
                pass  # it is empty now, and the worker at work
            adapter.send("sustain", seconds=seconds, backlog=plan.backlog)
            started = time.monotonic()
            ran, at = 0, started
            for turn in range(1, round(seconds / every) + 1):
                time.sleep(max(0.0, started + turn * every - time.monotonic()))
                adapter.refuse_dead()
                before, ran = ran, executions(place.ledger)
                since, at = at, time.monotonic()
                rates.append((ran - before) / (at - since))
            dispatched = adapter.answer()["count"]
            while executions(place.ledger) < dispatched or adapter.unfinished():
                adapter.refuse_dead()
                time.sleep(0.01)
        refuse_unless_exact(place.ledger, dispatched)
    minute = max(1, round(MINUTE / every)) if seconds > 2 * MINUTE else max(1, len(rates) // 3)
    first, last = statistics.mean(rates[:minute]), statistics.mean(rates[-minute:])
    figures.add(store.name, "sustained.first", contestant.name, first)
    figures.add(store.name, "sustained.last", contestant.name, last)
    figures.add(store.name, "sustained.kept", contestant.name, last / first * 100)
