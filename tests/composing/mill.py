"""A small app: its jobs write down what ran, and some fail while the test wants it."""

from __future__ import annotations

from typing import Any

from tabur import FunctionJob, JobContext, Tabur
from tabur.worker.inline import drain


class Mill:
    """`ran` is what has run, in order. `broken`: those that fail."""

    def __init__(self, connection: str, **settings: Any) -> None:
        self.jobs = Tabur(connection, **settings)
        self.ran: list[str] = []
        self.seen: dict[str, Any] = {}
        self.broken: set[str] = set()
        job = self.jobs.job
        self.grind: FunctionJob[[str], str] = job(name="grind")(self._grind)
        self.look: FunctionJob[[str], None] = job(name="look")(self._look)
        self.count: FunctionJob[[int], int] = job(name="count")(self._count)

    def work(self) -> list[str]:
        """Run all that waits; answers what ran."""
        before = len(self.ran)
        drain(self.jobs.runtime)
        return self.ran[before:]

    def _grind(self, ctx: JobContext, what: str) -> str:
        self.ran.append(what)
        if what in self.broken:
            raise ValueError(what)
        return what.upper()

    def _look(self, ctx: JobContext, what: str) -> None:
        """Notes what it may see of others."""
        self.ran.append(what)
        batch = ctx.batch
        self.seen[what] = {
            "batch": None if batch is None else batch.id,
            "previous": ctx.previous if len(ctx.results) < 2 else None,
            "results": dict(ctx.results),
        }

    def _count(self, ctx: JobContext, n: int) -> int:
        self.ran.append(str(n))
        return n
