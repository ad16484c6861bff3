"""No more runs for a while against a service that fails."""

from __future__ import annotations

import asyncio
from random import random
from typing import Any

from tabur.jobs.context import JobContext
from tabur.jobs.middleware import Next
from tabur.jobs.options import BackoffSpec
from tabur.jobs.spans import Span
from tabur.middleware.asked import Key, count, errors, key_of, span
from tabur.middleware.breaker import Breaker, failed, left, succeeded, tried
from tabur.middleware.shared import Holder, Shared
from tabur.model.clock import SECOND
from tabur.model.retry import backoff_us, parse_backoff

#: Failures that are counted; each is a moment in a note.
LARGEST = 1_000
#: Of a wait, the share by which jobs come back apart.
_APART = 0.1


class ThrottlesExceptions:
    """A circuit breaker, shared by all workers: after `max` errors within `decay` seconds and no
    success between, no job runs for `backoff` (default: `decay`); they wait, which costs no
    attempt. Then one tries, and with its success all go on.

    What a job raises goes its usual way: its `tries` and its own `backoff` hold. `on`: the errors
    that count; `by` and `name`: as those of RateLimited. `backoff` may be a list or
    `exponential(…)`, for each time in a row that the trial fails. Raises ConfigError.
    """

    def __init__(
        self,
        max: int,
        decay: Span,
        *,
        by: Key | None = None,
        backoff: BackoffSpec | None = None,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        name: str | None = None,
    ) -> None:
        self._limit = count(max, "max", most=LARGEST)
        self._decay = span(decay, "decay")
        self._backoff = parse_backoff(self._decay / SECOND if backoff is None else backoff)
        self._on = errors(on if isinstance(on, tuple) else (on,), "on")
        self._by = by
        self._name = name
        self._shared = Shared("throttle", Breaker)

    def handle(self, job: JobContext, next: Next) -> Any:
        key = key_of(job, self._by, self._name)
        is_known = self._wait(job, key)
        try:
            value = next(job)
        except BaseException as error:
            if is_known or self._counts(error):
                self._raised(job, key, error)
            raise
        if is_known:
            self._went_well(job, key)
        return value

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        key = key_of(job, self._by, self._name)
        is_known = await asyncio.to_thread(self._wait, job, key)
        try:
            value = await next(job)
        except BaseException as error:
            if is_known or self._counts(error):
                await asyncio.to_thread(self._raised, job, key, error)
            raise
        if is_known:
            await asyncio.to_thread(self._went_well, job, key)
        return value

    def _wait(self, job: JobContext, key: tuple[str, str]) -> bool:
        """Whether there is a breaker to be told how it goes: mostly there is none."""

        def step(breaker: Breaker | None, now: int) -> tuple[Breaker | None, tuple[int, bool]]:
            if breaker is None:
                return None, (0, False)
            if breaker.may_be_tried(now) and self._is_free(breaker, job):
                return tried(breaker, Holder.of(job)), (0, True)
            return None, (breaker.wait(now), True)

        delay, is_known = self._shared.ask(job, key, step)
        if delay:
            job.snooze(delay / SECOND * (1 + _APART * random()))
        return is_known

    def _is_free(self, breaker: Breaker, job: JobContext) -> bool:
        by = breaker.tried_by
        return by is None or by.job == job.job.id or by.is_over(job.backing.driver)

    def _counts(self, error: BaseException) -> bool:
        return isinstance(error, self._on)

    def _raised(self, job: JobContext, key: tuple[str, str], error: BaseException) -> None:
        me = Holder.of(job)

        def step(breaker: Breaker | None, now: int) -> tuple[Breaker | None, None]:
            if not self._counts(error):
                return left(breaker, me), None
            limit, decay = self._limit, self._decay
            after = failed(breaker, me, now, limit=limit, decay=decay, pauses=self._pause)
            return after, None

        self._shared.tell(job, key, step)

    def _went_well(self, job: JobContext, key: tuple[str, str]) -> None:
        me = Holder.of(job)
        self._shared.tell(job, key, lambda breaker, now: (succeeded(breaker, me, now), None))

    def _pause(self, times: int) -> int:
        return backoff_us(self._backoff, times, random())
