"""The action API: what an operator does to jobs and workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tabur.drivers.contract import Driver, Filter
from tabur.errors import JobNotFound
from tabur.model.clock import to_us
from tabur.model.ids import id_text
from tabur.model.records import ALL_QUEUES, Pause
from tabur.model.states import State
from tabur.model.text import storable
from tabur.operations.reading import Reading, failed_pages

#: Bytes of a reason that are kept.
LONGEST_REASON = 1_000


class Acting:
    """Actions on the stores of an app, or on one of them. All raise StoreUnavailable, or
    SchemaMissing before the tables are made."""

    def __init__(self, *drivers: Driver) -> None:
        self._drivers = drivers
        self._reading = Reading(*drivers)

    def retry(self, given: str) -> str:
        """Run a failed or cancelled job again, its attempts at zero; `given` may be the beginning
        of its id. Answers the whole id. Raises JobNotFound, AmbiguousId."""
        driver, job_id = self._reading.locate(given, states=(State.FAILED, State.CANCELLED))
        if not driver.dispatching.retry([job_id]):
            raise JobNotFound(id_text(job_id))  # somebody else was quicker
        return id_text(job_id)

    def retry_failed(self, *, queue: str | None = None) -> Iterator[str]:
        """Run every failed job again, or those of one queue; answers each id once it is done."""
        for driver in self._drivers:
            for page in failed_pages(driver, queue=queue):
                driver.dispatching.retry(record.id for record in page)
                yield from (id_text(record.id) for record in page)

    def forget(self, given: str) -> str:
        """Remove one failed job with its history; `given` may be the beginning of its id. Answers
        the whole id. Raises JobNotFound, AmbiguousId."""
        driver, job_id = self._reading.locate(given, states=(State.FAILED,))
        if not driver.dispatching.forget_one(job_id):
            raise JobNotFound(id_text(job_id))
        return id_text(job_id)

    def flush(self, *, older_than: timedelta = timedelta()) -> int:
        """Remove every job that failed longer ago than `older_than`. Answers how many."""
        return self.prune(State.FAILED, older_than=older_than)

    def prune(self, state: State, *, older_than: timedelta) -> int:
        """Remove every job that came to such an end longer ago than `older_than`. Answers how
        many."""
        return sum(
            driver.dispatching.forget(_ended(driver, state, older_than)) for driver in self._drivers
        )

    def prunable(self, state: State, *, older_than: timedelta) -> int:
        """How many jobs `prune` would remove."""
        return sum(
            driver.inspection.count(_ended(driver, state, older_than), at_most=_MANY)
            for driver in self._drivers
        )

    def restart(self) -> int:
        """Ask the workers to stop after what they run. Answers how many there are."""
        workers = sum(len(driver.workers.list()) for driver in self._drivers)
        for driver in self._drivers:
            driver.control.restart()
        return workers

    def pause(
        self,
        queue: str = ALL_QUEUES,
        *,
        lasting: timedelta | None = None,
        reason: str | None = None,
    ) -> None:
        """Let workers take nothing from a queue, or from any; a pause that is there is replaced.
        They obey within three seconds."""
        kept = None if reason is None else storable(reason, limit=LONGEST_REASON)
        for driver in self._drivers:
            control = driver.control
            until = None if lasting is None else control.signals().now + to_us(lasting)
            control.pause(Pause(queue, 0, until, kept))

    def resume(self, queue: str) -> int:
        """End the pause of a queue. Answers in how many stores it was paused."""
        return sum(driver.control.resume(queue) for driver in self._drivers)

    def resume_all(self) -> int:
        """End every pause. Answers how many."""
        return sum(
            driver.control.resume(each.queue)
            for driver in self._drivers
            for each in driver.control.signals().pauses
        )

    def hold(self, reason: str) -> None:
        """Let workers take nothing at all, until the hold is released; one that is there stays."""
        for driver in self._drivers:
            driver.control.hold(storable(reason, limit=LONGEST_REASON))

    def release_hold(self) -> list[str]:
        """Answers the connections that were held."""
        return [driver.name for driver in self._drivers if driver.control.release_hold()]

    def clear(self, queue: str) -> int:
        """Cancel all that waits on a queue; what runs is left alone. Answers how many."""
        return sum(driver.dispatching.clear(queue) for driver in self._drivers)


def _ended(driver: Driver, state: State, older_than: timedelta) -> Filter:
    before = driver.now() - to_us(older_than) if older_than else None
    return Filter(states=(state,), ended_before=before)


#: More than there are jobs in any store.
_MANY = 2**31
