"""One at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from tabur.jobs.context import JobContext
from tabur.jobs.middleware import Next
from tabur.jobs.spans import Span
from tabur.middleware.asked import Key, key_of, span
from tabur.middleware.shared import Holder, Remembered, Shared
from tabur.model.clock import SECOND
from tabur.model.schedules import LATEST


class Held(Remembered, frozen=True):
    holder: Holder | None
    """None: it is free."""
    since: int = 0


class WithoutOverlapping:
    """Lets no two jobs of one key run at the same time, in all workers together: `by` is a text or
    a function of the job, without it the job itself is the key. One that finds another running
    comes again after `release_after` seconds, which costs no attempt, or with `skip=True` is
    completed without running.

    The key is free again when its holder has ended, or its worker has died; with `expire_after`
    also that many seconds after it began, whether it runs or not. Jobs of different names do not
    hinder each other unless they give the same `name`. Raises ConfigError.
    """

    def __init__(
        self,
        by: Key | None = None,
        *,
        release_after: Span = 10,
        expire_after: Span | None = None,
        skip: bool = False,
        name: str | None = None,
    ) -> None:
        self._by = by
        self._name = name
        self._release_after = span(release_after, "release_after")
        self._expire_after = None if expire_after is None else span(expire_after, "expire_after")
        self._skip = skip
        self._shared = Shared("overlap", Held)

    def handle(self, job: JobContext, next: Next) -> Any:
        key = key_of(job, self._by, self._name)
        if not self._take(job, key):
            return None
        try:
            return next(job)
        finally:
            self._free(job, key)

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        key = key_of(job, self._by, self._name)
        if not await asyncio.to_thread(self._take, job, key):
            return None
        try:
            return await next(job)
        finally:
            await asyncio.to_thread(self._free, job, key)

    def _take(self, job: JobContext, key: tuple[str, str]) -> bool:
        def step(held: Held | None, now: int) -> tuple[Held | None, bool]:
            if held is not None and self._is_taken(held, job, now):
                return None, False
            return Held(until=LATEST, holder=Holder.of(job), since=now), True

        if self._shared.ask(job, key, step):
            return True
        if not self._skip:
            job.snooze(self._release_after / SECOND)
        return False

    def _is_taken(self, held: Held, job: JobContext, now: int) -> bool:
        if held.holder is None or held.holder.job == job.job.id:
            return False  # a claim of its own that is over: this one came after it
        if self._expire_after is not None and now >= held.since + self._expire_after:
            return False
        return not held.holder.is_over(job.backing.driver)

    def _free(self, job: JobContext, key: tuple[str, str]) -> None:
        def step(held: Held | None, now: int) -> tuple[Held | None, None]:
            # Kept for a while, not erased: its next holder goes on counting its revisions, so that
            # who has stood still since cannot mistake it for his own.
            is_ours = held is not None and held.holder == Holder.of(job)
            return (Held(until=now, holder=None) if is_ours else None), None

        self._shared.tell(job, key, step)
