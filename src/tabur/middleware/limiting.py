"""Not more often than a limit allows."""

from __future__ import annotations

import asyncio
from typing import Any

from tabur.jobs.context import JobContext
from tabur.jobs.middleware import Next
from tabur.jobs.spans import Span
from tabur.middleware.asked import Key, count, key_of, span
from tabur.middleware.rates import Turns, begin
from tabur.middleware.shared import Shared
from tabur.model.clock import SECOND

LARGEST = 1_000_000


class RateLimited:
    """Lets `limit` runs begin in any `per` seconds, in all workers together; the others wait for
    their turn, which costs no attempt.

    `by` counts apart: `by=lambda job: job.tenant`. Jobs of different names count apart too, unless
    they give the same `name`. Raises ConfigError.
    """

    def __init__(
        self, limit: int, per: Span, *, by: Key | None = None, name: str | None = None
    ) -> None:
        self._limit = count(limit, "limit", most=LARGEST)
        self._per = span(per, "per")
        self._by = by
        self._name = name
        self._shared = Shared("rate", Turns)

    def handle(self, job: JobContext, next: Next) -> Any:
        self._wait(job)
        return next(job)

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        await asyncio.to_thread(self._wait, job)
        return await next(job)

    def _wait(self, job: JobContext) -> None:
        def step(turns: Turns | None, now: int) -> tuple[Turns, int]:
            dispatched = job.job.created_at
            return begin(turns, now, dispatched, limit=self._limit, per=self._per)

        if delay := self._shared.ask(job, key_of(job, self._by, self._name), step):
            job.snooze(delay / SECOND)
