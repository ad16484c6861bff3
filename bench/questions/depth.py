"""Whether depth costs: jobs claimed and settled on an empty store, and where a million stand in it.

Through the driver, without running them: what is asked is what the store's depth does to a claim.
The million comes in and stays: pending first; then the same as finished ones; then as many
scheduled beside them. The empty store and the deep one take turns, so that what else the machine
does falls on both: a baseline from a bad moment would excuse everything.
"""

from __future__ import annotations

import contextlib
import statistics

from bench.contestants import Open, opened
from bench.place import fresh_place
from bench.session import Session
from bench.stores import Store

BATCH = 200
TURNS = 10
LIMIT = 420.0


def measure(session: Session, store: Store) -> None:
    """Jobs per second, percent of the empty store's, and p99 of a claim in milliseconds."""
    if not session.has("tabur", store):
        return
    plan, ours = session.plan, session.everybody["tabur"]
    with (
        session.attempt(f"depth {store.name}", seconds=LIMIT),
        contextlib.ExitStack() as both,
    ):
        empty, deep = (
            both.enter_context(opened(ours, both.enter_context(fresh_place(store))))
            for _ in range(2)
        )
        for standing in ("pending", "finished", "scheduled"):
            if standing == "pending":
                deep.ask("dispatch_many", first=0, count=plan.standing)
            elif standing == "finished":
                deep.ask("claim_and_settle", count=plan.standing, batch=500)
            else:
                deep.ask("schedule_many", first=0, count=plan.standing)
            store.calm()
            _compare(session, store, standing, empty=empty, deep=deep)


def _compare(session: Session, store: Store, standing: str, *, empty: Open, deep: Open) -> None:
    """Dispatches as many as are claimed: what stands in the store stays."""
    piece = session.plan.measured // TURNS
    seconds: dict[str, float] = {"empty": 0.0, standing: 0.0}
    claims: dict[str, list[float]] = {"empty": [], standing: []}
    for turn in range(TURNS + 1):
        for name, adapter in (("empty", empty), (standing, deep)):
            adapter.ask("dispatch_many", first=0, count=piece)
            answer = adapter.ask("claim_and_settle", count=piece, batch=BATCH)
            if turn:  # the first is for warmth
                seconds[name] += sum(answer["claims"]) + sum(answer["settles"])
                claims[name] += answer["claims"]

    def keep(row: str, value: float) -> None:
        session.figures.add(store.name, row, "tabur", value)

    for name, spent in seconds.items():
        keep(f"depth.{name}", TURNS * piece / spent)
        p99 = statistics.quantiles(claims[name], n=100, method="inclusive")[98]
        keep(f"depth.{name}.p99", p99 * 1000)
    keep(f"depth.{standing}.kept", seconds["empty"] / seconds[standing] * 100)
