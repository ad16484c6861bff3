"""Jobs whose name, or whose arguments, this app does not know: during a deployment other workers
may, so that they are left to those for a while before they fail."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace

from tabur.errors import UnknownJob
from tabur.model.clock import SECOND
from tabur.model.outcome import Ended
from tabur.model.records import ClaimedJob
from tabur.worker.running.run import Refused

_log = logging.getLogger("tabur.worker")

#: Seconds until such a job can be claimed again: first and longest.
FIRST, LONGEST = 1.0, 5.0
#: How many are remembered at most; the oldest of more begin anew.
MEMORY = 10_000


class Patience:
    """How long each unknown job has been left to others, by this worker."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since: dict[bytes, float] = {}
        self._told: set[str] = set()

    def judged(self, job: ClaimedJob, why: Refused) -> Refused:
        """`why` itself, or, while there is patience, that the job is handed back."""
        if not isinstance(why.error, UnknownJob):
            return why
        now = self._clock()
        since = self._since.setdefault(job.id, now)
        waited = now - since
        if waited >= self._seconds:
            del self._since[job.id]
            return why
        if len(self._since) > MEMORY:
            del self._since[next(iter(self._since))]
        if job.name not in self._told:
            self._told.add(job.name)
            _log.warning(
                "%s is not known here; its jobs are left to other workers for %.0f s",
                job.name,
                self._seconds,
            )
        delay = min(max(FIRST, waited), LONGEST, max(self._seconds - waited, 0.1))
        handed_back = replace(
            why.outcome, ended=Ended.HANDED_BACK, delay=int(delay * SECOND), error=None
        )
        return Refused(handed_back, why.error, why.definition)
