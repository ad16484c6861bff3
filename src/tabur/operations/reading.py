"""The read API: jobs, failed jobs and queues, as people ask for them."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterator, Sequence

from tabur.drivers.contract import Driver, Filter
from tabur.errors import JobNotFound, TaburError
from tabur.model.clock import SECOND, as_datetime
from tabur.model.ids import id_bytes, id_text
from tabur.model.records import Attempt, JobRecord, QueueSize
from tabur.model.states import State
from tabur.operations.results import AttemptShown, FailedJob, JobShown, QueueLevel

#: Rows read at once: long lists are walked in pages.
PAGE = 500
#: Hex digits that the beginning of an id must have at least.
SHORTEST_PREFIX = 4
DEFAULT_THRESHOLD = 1000


class AmbiguousId(TaburError):
    permanent = True

    def __init__(self, prefix: str, found: Collection[str]) -> None:
        super().__init__(
            f"Several jobs begin with {prefix}: {', '.join(found)} …; write more of the id."
        )


class UnknownQueue(TaburError):
    permanent = True

    def __init__(self, queue: str, known: Collection[str]) -> None:
        names = ", ".join(sorted(known)) or "none yet"
        super().__init__(
            f"Queue {queue!r} holds nothing and no job of this app uses it. There are: {names}."
        )
        self.queue = queue


class Reading:
    """Questions to one store. All raise StoreUnavailable, or SchemaMissing before the tables are
    made."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def failed(self, *, queue: str | None = None) -> Iterator[FailedJob]:
        """Failed jobs, newest first."""
        for page in failed_pages(self._driver, queue=queue):
            yield from (_failed(record, self._driver.name) for record in page)

    def failed_count(self, *, at_most: int = 10_000) -> int:
        """How many jobs have failed, counted no further than `at_most`."""
        return self._driver.inspection.count(Filter(states=(State.FAILED,)), at_most=at_most)

    def job(self, given: str) -> JobShown:
        """One job with its history, by id or by the beginning of it. Raises JobNotFound,
        AmbiguousId."""
        inspection = self._driver.inspection
        record = inspection.find(self.find(given))
        if record is None:
            raise JobNotFound(given)
        return JobShown(
            id=id_text(record.id),
            connection=self._driver.name,
            queue=record.queue,
            job=record.name,
            state=record.state,
            attempts=record.attempts,
            crashes=record.crashes,
            created_at=as_datetime(record.created_at),
            tenant=record.tenant,
            user=record.user,
            locale=record.locale,
            progress=record.progress,
            arguments=record.payload.decode("utf-8", "replace"),
            history=tuple(_attempt(each) for each in inspection.attempts(record.id)),
            attachments=tuple(inspection.attachments(record.id)),
        )

    def find(self, given: str, *, states: tuple[State, ...] = ()) -> bytes:
        """The id that `given` is or begins, among jobs in `states`. Raises JobNotFound,
        AmbiguousId."""
        digits = given.strip().lower().replace("-", "")
        if not set(digits) <= set(string.hexdigits) or not SHORTEST_PREFIX <= len(digits) <= 32:
            raise JobNotFound(given[:80])
        if len(digits) == 32:
            return self._exact(digits, states)
        found = [each.id for each in self._behind(digits, states) if each.id.hex() >= digits]
        matching = [each for each in found if each.hex().startswith(digits)]
        if not matching:
            raise JobNotFound(given)
        if len(matching) > 1:
            raise AmbiguousId(given, [id_text(each) for each in matching])
        return matching[0]

    def queues(self, *, threshold: int = DEFAULT_THRESHOLD) -> list[QueueLevel]:
        """Every queue that holds an unfinished job, by name."""
        return [self._level(each, threshold) for each in self._driver.inspection.queues()]

    def levels(
        self, names: Collection[str], *, threshold: int, declared: Collection[str] = ()
    ) -> list[QueueLevel]:
        """How full each of `names` is. Raises UnknownQueue for one that holds nothing and that
        nobody uses."""
        held = {each.queue: each for each in self._driver.inspection.queues()}
        self.check_known([name for name in names if name not in held], declared=declared)
        return [
            self._level(held.get(name) or QueueSize(name, 0, 0, 0, 0, None), threshold)
            for name in names
        ]

    def check_known(self, names: Collection[str], *, declared: Collection[str] = ()) -> None:
        """Raises UnknownQueue for a queue that no job declares, that holds nothing and never did,
        and that no worker works: most likely a slip of the pen."""
        if not set(names) - set(declared):
            return
        known = set(declared) | {each.queue for each in self._driver.inspection.queues()}
        known |= {queue for worker in self._driver.workers.list() for queue in worker.queues}
        for name in names:
            ever = name in known or self._driver.inspection.count(Filter(queue=name), at_most=1)
            if not ever:
                raise UnknownQueue(name, known)

    def _exact(self, digits: str, states: tuple[State, ...]) -> bytes:
        job_id = id_bytes(digits)
        record = self._driver.inspection.find(job_id)
        if record is None or (states and record.state not in states):
            raise JobNotFound(id_text(job_id))
        return job_id

    def _behind(self, digits: str, states: tuple[State, ...]) -> list[JobRecord]:
        """The newest two whose id is not above all that begin with `digits`: pages go downwards
        from an id, so that a prefix is one page."""
        above = (int(digits, 16) + 1) << 4 * (32 - len(digits))
        after = above.to_bytes(16, "big") if above < 1 << 128 else None
        return list(self._driver.inspection.list(Filter(states=states), limit=2, after=after))

    def _level(self, size: QueueSize, threshold: int) -> QueueLevel:
        return QueueLevel(
            connection=self._driver.name,
            queue=size.queue,
            size=size.size,
            pending=size.pending,
            delayed=size.scheduled + size.blocked,
            reserved=size.processing,
            oldest_pending=as_datetime(size.oldest_pending),
            threshold=threshold,
            status="ALERT" if size.size >= threshold else "OK",
        )


def failed_pages(driver: Driver, *, queue: str | None = None) -> Iterator[Sequence[JobRecord]]:
    """Failed jobs, newest first, page by page; one that leaves or comes meanwhile does no harm."""
    which = Filter(states=(State.FAILED,), queue=queue)
    after: bytes | None = None
    while page := driver.inspection.list(which, limit=PAGE, after=after):
        yield page
        after = page[-1].id


def _failed(record: JobRecord, connection: str) -> FailedJob:
    return FailedJob(
        id=id_text(record.id),
        connection=connection,
        queue=record.queue,
        job=record.name,
        failed_at=as_datetime(record.ended_at),
        attempts=record.attempts,
        exception=record.error.type if record.error else None,
        message=record.error.message if record.error else None,
        tenant=record.tenant,
    )


def _attempt(attempt: Attempt) -> AttemptShown:
    started = attempt.started_at
    return AttemptShown(
        attempt=attempt.attempt,
        ending=attempt.ending,
        started_at=as_datetime(started),
        ended_at=as_datetime(attempt.ended_at),
        seconds=None if started is None else (attempt.ended_at - started) / SECOND,
        worker=attempt.worker,
        error=attempt.error,
    )
