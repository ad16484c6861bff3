"""A circuit breaker: pure. Moments and spans in microseconds.

closed → open, after `limit` failures within `decay` with no success between → half open, when the
pause is over: one run tries it, and closes it or opens it again.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tabur.middleware.shared import Holder, Remembered
from tabur.model.clock import SECOND

Pauses = Callable[[int], int]
"""How long it stays open, by how often in a row it was opened."""

#: How long an open breaker is remembered that nobody tries.
_REMEMBERED = 86_400 * SECOND
#: How long the others wait while one tries.
WHILE_TRIED = SECOND


class Breaker(Remembered, frozen=True):
    failures: tuple[int, ...] = ()
    """When, while it is closed."""
    opened: int = 0
    """How often in a row it was opened; 0: it is closed."""
    open_until: int = 0
    tried_by: Holder | None = None
    """Whose run tries it."""

    def wait(self, now: int) -> int:
        """How long a run has to wait that is not to try it."""
        return max(self.open_until - now, WHILE_TRIED) if self.opened else 0

    def may_be_tried(self, now: int) -> bool:
        return self.opened > 0 and now >= self.open_until


def tried(breaker: Breaker, by: Holder) -> Breaker:
    return replace(breaker, tried_by=by)


def left(breaker: Breaker | None, by: Holder) -> Breaker | None:
    """After a run that says nothing; None: nothing changes."""
    if breaker is None or breaker.tried_by != by:
        return None
    return replace(breaker, tried_by=None)


def succeeded(breaker: Breaker | None, by: Holder, now: int) -> Breaker | None:
    """After a run that went well; None: nothing changes."""
    if breaker is None or (breaker.opened and breaker.tried_by != by):
        return None
    return Breaker(until=now)


def failed(
    breaker: Breaker | None, by: Holder, now: int, *, limit: int, decay: int, pauses: Pauses
) -> Breaker | None:
    """After a failure; None: nothing changes."""
    breaker = breaker or Breaker(until=0)
    if breaker.opened:
        return _opened(breaker.opened + 1, now, pauses) if breaker.tried_by == by else None
    failures = (*(each for each in breaker.failures if each > now - decay), now)
    if len(failures) >= limit:
        return _opened(1, now, pauses)
    return Breaker(until=now + decay, failures=failures)


def _opened(times: int, now: int, pauses: Pauses) -> Breaker:
    open_until = now + pauses(times)
    return Breaker(until=open_until + _REMEMBERED, opened=times, open_until=open_until)
