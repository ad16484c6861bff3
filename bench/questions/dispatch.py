"""Dispatch one by one and many: Tabur, a bare insert of the same rows, and every rival."""

from __future__ import annotations

import contextlib

from bench.contestants import NotOffered, Open, opened
from bench.place import fresh_place
from bench.session import Session
from bench.stores import Store

TURNS = 10  # they alternate, so that what else the machine does falls on all of them


def measure(session: Session, store: Store) -> None:
    """Jobs per second: one commit each, and many in one."""
    plan, figures = session.plan, session.figures
    piece = plan.dispatched // TURNS
    with contextlib.ExitStack() as everything:
        adapters: dict[str, Open] = {}
        for contestant in session.contestants(store):
            with session.attempt(f"dispatch {store.name} open {contestant.name}", seconds=60):
                place = everything.enter_context(fresh_place(store))
                adapters[contestant.name] = everything.enter_context(opened(contestant, place))
                adapters[contestant.name].ask("dispatch_each", first=0, count=5)  # paths are warm
        spent = dict.fromkeys(adapters, 0.0)
        for turn in range(TURNS):
            for name in list(spent):
                before = spent.pop(name)  # who fails once is out
                with session.attempt(f"dispatch {store.name} one {name}", seconds=30):
                    first = 5 + turn * piece
                    answer = adapters[name].ask("dispatch_each", first=first, count=piece)
                    spent[name] = before + answer["seconds"]
        for name, seconds in spent.items():
            figures.add(store.name, "dispatch.one", name, TURNS * piece / seconds)
        store.calm()
        for name, adapter in adapters.items():
            entry = session.everybody[name].stores[store.name]
            count = round(entry.bulk * plan.share)
            if not count or name not in spent:
                continue
            with (
                session.attempt(f"dispatch {store.name} many {name}", seconds=60),
                contextlib.suppress(NotOffered),
            ):
                answer = adapter.ask("dispatch_many", first=1_000_000, count=count)
                figures.add(store.name, "dispatch.many", name, count / answer["seconds"])
