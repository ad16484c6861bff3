"""Dispatch one by one and many: Tabur, a bare insert of the same rows, and every rival.

What is dispatched must be there afterwards, counted by the contestant's own store: a figure without
its jobs is refused.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from bench.contestants import NotOffered, Open, opened
from bench.ledger import WrongCountError
from bench.place import fresh_place
from bench.session import Session
from bench.stores import Store

TURNS = 10  # they alternate, so that what else the machine does falls on all of them
WARM = 100


@dataclass
class Dispatcher:
    """A contestant in this race: jobs that are in its store, size of a turn, seconds spent."""

    name: str
    adapter: Open
    stored: int = 0
    turn: int = 0
    seconds: float = 0.0
    counted: int = 0

    def each(self, count: int) -> float:
        seconds: float = self.adapter.ask("dispatch_each", first=self.stored, count=count)[
            "seconds"
        ]
        self.stored += count
        return seconds

    def many(self, count: int) -> float:
        seconds: float = self.adapter.ask("dispatch_many", first=self.stored, count=count)[
            "seconds"
        ]
        self.stored += count
        return seconds

    def refuse_unless_stored(self) -> None:
        found = self.adapter.unfinished()
        if found != self.stored:
            raise WrongCountError(f"{self.stored} dispatched, {found} in the store")


def measure(session: Session, store: Store) -> None:
    """Jobs per second: one commit each, and many in one."""
    with contextlib.ExitStack() as everything:
        racing: list[Dispatcher] = []
        for contestant in session.contestants(store):
            with session.attempt(f"dispatch {store.name} open {contestant.name}", seconds=60):
                place = everything.enter_context(fresh_place(store))
                adapter = everything.enter_context(opened(contestant, place))
                each = Dispatcher(contestant.name, adapter)
                each.each(WARM)  # opens connections, prepares statements
                each.turn = _turn(session, WARM / each.each(WARM))
                racing.append(each)
        racing = _one_by_one(session, store, racing)
        store.calm()
        _many(session, store, racing)


def _turn(session: Session, rate: float) -> int:
    """Jobs of one turn: the number of the plan, or as many as fill its time."""
    plan = session.plan
    return round(max(plan.dispatched, rate * plan.dispatched_seconds) / TURNS)


def _one_by_one(session: Session, store: Store, racing: list[Dispatcher]) -> list[Dispatcher]:
    """Answers who came through."""
    for _ in range(TURNS):
        for each in list(racing):
            racing.remove(each)  # who fails once is out
            with session.attempt(f"dispatch {store.name} one {each.name}", seconds=30):
                each.seconds += each.each(each.turn)
                each.counted += each.turn
                racing.append(each)
    for each in list(racing):
        racing.remove(each)
        with session.attempt(f"dispatch {store.name} count {each.name}", seconds=30):
            each.refuse_unless_stored()
            session.figures.add(store.name, "dispatch.one", each.name, each.counted / each.seconds)
            racing.append(each)
    return racing


def _many(session: Session, store: Store, racing: list[Dispatcher]) -> None:
    for each in racing:
        entry = session.everybody[each.name].stores[store.name]
        count = round(entry.bulk * session.plan.share)
        if not count:
            continue
        with (
            session.attempt(f"dispatch {store.name} many {each.name}", seconds=60),
            contextlib.suppress(NotOffered),
        ):
            seconds = each.many(count)
            each.refuse_unless_stored()
            session.figures.add(store.name, "dispatch.many", each.name, count / seconds)
