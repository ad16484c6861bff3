"""The read API: jobs, failed jobs and queues, as people ask for them."""

from __future__ import annotations

import heapq
import string
from collections.abc import Collection, Iterator, Sequence

from tabur.drivers.contract import Driver, Filter
from tabur.errors import JobNotFound, TaburError
from tabur.jobs.seals import NO_SEALS, Seals
from tabur.model.clock import SECOND, as_datetime
from tabur.model.ids import id_bytes, id_text
from tabur.model.records import ALL_QUEUES, Attempt, JobRecord, QueueSize, Signals
from tabur.model.states import State
from tabur.operations.results import AttemptShown, FailedJob, JobShown, QueueLevel, Resting

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
    """Questions to the stores of an app, or to one of them. All raise StoreUnavailable, or
    SchemaMissing before the tables are made. `seals`: of the app, for who asks for arguments."""

    def __init__(self, *drivers: Driver, seals: Seals = NO_SEALS) -> None:
        self._drivers = drivers
        self._seals = seals

    def failed(self, *, queue: str | None = None) -> Iterator[FailedJob]:
        """Failed jobs, newest first."""
        each = [self._failed_on(driver, queue) for driver in self._drivers]
        return heapq.merge(*each, key=lambda job: job.id, reverse=True)

    def failed_count(self, *, at_most: int = 10_000) -> int:
        """How many jobs have failed, counted in each store no further than `at_most`."""
        which = Filter(states=(State.FAILED,))
        return sum(each.inspection.count(which, at_most=at_most) for each in self._drivers)

    def job(self, given: str) -> JobShown:
        """One job with its history, by id or by the beginning of it. Raises JobNotFound,
        AmbiguousId."""
        driver, job_id = self.locate(given)
        inspection = driver.inspection
        record = inspection.find(job_id)
        if record is None:
            raise JobNotFound(given)
        return JobShown(
            id=id_text(record.id),
            connection=driver.name,
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
            arguments=self._seals.shown_payload(record),
            history=tuple(_attempt(each) for each in inspection.attempts(record.id)),
            attachments=tuple(inspection.attachments(record.id)),
        )

    def find(self, given: str, *, states: tuple[State, ...] = ()) -> bytes:
        """The id that `given` is or begins, among jobs in `states`. Raises JobNotFound,
        AmbiguousId."""
        return self.locate(given, states=states)[1]

    def locate(self, given: str, *, states: tuple[State, ...] = ()) -> tuple[Driver, bytes]:
        """As `find`, with the store that the job is in."""
        digits = given.strip().lower().replace("-", "")
        if not set(digits) <= set(string.hexdigits) or not SHORTEST_PREFIX <= len(digits) <= 32:
            raise JobNotFound(given[:80])
        found = [
            (driver, job_id)
            for driver in self._drivers
            for job_id in (
                _exact(driver, digits, states)
                if len(digits) == 32
                else _beginning(driver, digits, states)
            )
        ]
        if not found:
            raise JobNotFound(id_text(id_bytes(digits)) if len(digits) == 32 else given)
        if len({job_id for _, job_id in found}) > 1:
            raise AmbiguousId(given, [id_text(job_id) for _, job_id in found])
        return found[0]

    def resting(self, queue: str | None = None) -> list[Resting]:
        """What workers take nothing from: holds, and pauses, those of all queues first. With
        `queue`, what keeps that one from being worked."""
        return [
            each
            for driver in self._drivers
            for each in rests_of(driver.name, driver.control.signals())
            if queue is None or each.queue in (None, queue)
        ]

    def queues(self, *, threshold: int = DEFAULT_THRESHOLD) -> list[QueueLevel]:
        """Every queue that holds an unfinished job, by connection and name."""
        return [
            level(driver.name, each, threshold, resting)
            for driver in self._drivers
            for resting in [Reading(driver).resting()]
            for each in driver.inspection.queues()
        ]

    def levels(
        self, names: Collection[str], *, threshold: int, declared: Collection[str] = ()
    ) -> list[QueueLevel]:
        """How full each of `names` is in each store. Raises UnknownQueue for one that holds nothing
        and that nobody uses."""
        levels = []
        for driver in self._drivers:
            held = {each.queue: each for each in driver.inspection.queues()}
            missing = [name for name in names if name not in held]
            Reading(driver).check_known(missing, declared=declared)
            resting = Reading(driver).resting()
            levels += [
                level(
                    driver.name,
                    held.get(name) or QueueSize(name, 0, 0, 0, 0, None),
                    threshold,
                    resting,
                )
                for name in names
            ]
        return levels

    def check_known(self, names: Collection[str], *, declared: Collection[str] = ()) -> None:
        """Raises UnknownQueue for a queue that no job declares, that holds nothing and never did,
        and that no worker works: most likely a slip of the pen."""
        if not set(names) - set(declared):
            return
        known = set(declared)
        for driver in self._drivers:
            known |= {each.queue for each in driver.inspection.queues()}
            known |= {queue for worker in driver.workers.list() for queue in worker.queues}
        for name in names:
            if name in known:
                continue
            which = Filter(queue=name)
            if not any(each.inspection.count(which, at_most=1) for each in self._drivers):
                raise UnknownQueue(name, known)

    def _failed_on(self, driver: Driver, queue: str | None) -> Iterator[FailedJob]:
        for page in failed_pages(driver, queue=queue):
            yield from (_failed(record, driver.name) for record in page)


def _exact(driver: Driver, digits: str, states: tuple[State, ...]) -> list[bytes]:
    job_id = id_bytes(digits)
    record = driver.inspection.find(job_id)
    return [] if record is None or (states and record.state not in states) else [job_id]


def _beginning(driver: Driver, digits: str, states: tuple[State, ...]) -> list[bytes]:
    """Two ids at most that begin with `digits`: pages go downwards from an id, so that what has
    a beginning is at the head of one that starts above all of them."""
    above = (int(digits, 16) + 1) << 4 * (32 - len(digits))
    after = above.to_bytes(16, "big") if above < 1 << 128 else None
    page = driver.inspection.list(Filter(states=states), limit=2, after=after)
    return [each.id for each in page if each.id.hex().startswith(digits)]


def rests_of(connection: str, signals: Signals) -> list[Resting]:
    """Holds and pauses, as an operator is told of them."""
    return list(_rests(connection, signals))


def _rests(connection: str, signals: Signals) -> Iterator[Resting]:
    if signals.hold is not None:
        yield Resting(
            connection=connection,
            queue=None,
            kind="hold",
            since=as_datetime(signals.hold.since),
            until=None,
            reason=signals.hold.reason,
            todo=f"tabur queue:release-hold {connection}",
        )
    for each in sorted(signals.pauses, key=lambda pause: (pause.queue != ALL_QUEUES, pause.queue)):
        of_all = each.queue == ALL_QUEUES
        yield Resting(
            connection=connection,
            queue=None if of_all else each.queue,
            kind="pause",
            since=as_datetime(each.since),
            until=as_datetime(each.until),
            reason=each.reason,
            todo=f"tabur queue:resume {'--all' if of_all else f'{connection}:{each.queue}'}",
        )


def level(
    connection: str, size: QueueSize, threshold: int, resting: Sequence[Resting]
) -> QueueLevel:
    return QueueLevel(
        connection=connection,
        queue=size.queue,
        size=size.size,
        pending=size.pending,
        delayed=size.scheduled + size.blocked,
        reserved=size.processing,
        oldest_pending=as_datetime(size.oldest_pending),
        threshold=threshold,
        status="ALERT" if size.size >= threshold else "OK",
        resting=next((each for each in resting if each.queue in (None, size.queue)), None),
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
