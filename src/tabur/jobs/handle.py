"""A dispatched job as its dispatcher sees it: state, progress, result, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from tabur.drivers.contract import CancelAnswer, Driver
from tabur.errors import (
    JobCancelled,
    JobFailed,
    JobNotFinished,
    JobNotFound,
    SealError,
)
from tabur.jobs.located import Located, waited
from tabur.jobs.seals import NO_SEALS, Seals
from tabur.model.clock import as_datetime
from tabur.model.codec import decode_result
from tabur.model.ids import id_text
from tabur.model.records import Attachment, ErrorInfo, JobRecord, Progress
from tabur.model.states import FINISHED, State

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class JobStatus(msgspec.Struct, frozen=True):
    """One look at a job. `attempt` counts from 1 once it has started; moments are UTC."""

    id: str
    name: str
    connection: str
    queue: str
    state: State
    cancelling: bool
    attempt: int
    progress: Progress
    created_at: datetime
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    result: Any
    error: ErrorInfo | None
    tenant: str | None
    user: str | None
    locale: str | None
    attachments: tuple[Attachment, ...] = ()

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


class JobHandle(Located, Generic[R_co]):
    """A job's id with what can be asked of it. Cheap; nothing is read until asked.

    `drivers`: the stores in which it may be; the first that knows it is asked from then on.
    `seals`: of its app.
    """

    __slots__ = ("_result_type", "_was_skipped")

    def __init__(
        self,
        drivers: Sequence[Driver],
        job_id: bytes | str,
        result_type: Any = Any,
        *,
        seals: Seals = NO_SEALS,
    ) -> None:
        super().__init__(drivers, job_id, seals=seals)
        self._result_type = result_type
        self._was_skipped = False

    @property
    def was_skipped(self) -> bool:
        """Nothing was dispatched, for another job held the unique key: this is its handle. (With
        `after_commit=True` it is not known before the commit.)"""
        return self._was_skipped

    def skipped_for(self, holder: bytes) -> None:
        """For dispatchers: the store has kept nothing, and told who holds the key."""
        self._id, self._was_skipped = holder, True

    def status(self) -> JobStatus:
        """Its `result` is None, too, where it is encrypted and does not open: `result()` says why.
        Raises JobNotFound."""
        record = self._find()
        driver = self._driver
        attachments = tuple(driver.inspection.attachments(record.id))
        try:
            result = self._seals.opened_result(record, record.result)
        except SealError:
            result = None
        return _status(record, driver.name, decode_result(result), attachments)

    def progress(self) -> Progress:
        """Raises JobNotFound."""
        return self._find().progress

    def result(self) -> R_co:
        """What the job returned. Raises JobNotFinished, JobFailed, JobCancelled, JobNotFound, and
        SealError where it is encrypted and does not open."""
        return self._result(self._find())

    def cancel(self) -> bool:
        """Call it back: at once if it has not started, else at its next `check_cancelled()`.
        False where it had already finished. Raises JobNotFound."""
        answer = self._driver.dispatching.cancel(self._id)
        if answer is CancelAnswer.UNKNOWN:
            raise JobNotFound(self.id)
        return answer is not CancelAnswer.FINISHED

    def retry(self) -> bool:
        """Run a failed or cancelled job again, attempts at zero; False in any other state."""
        return self._driver.dispatching.retry([self._id]) == 1

    def wait(self, timeout: float | None = None) -> R_co:
        """The result once it is there. Raises TimeoutError after `timeout` seconds, and what
        `result()` raises."""
        record = waited(
            self._find,
            lambda record: record.state in FINISHED,
            lambda record: f"Job {self.id} is still {record.state}",
            timeout,
        )
        return self._result(record)

    async def wait_async(self, timeout: float | None = None) -> R_co:
        """As `wait`, without holding the event loop."""
        import asyncio

        return await asyncio.to_thread(self.wait, timeout)

    def _is_in(self, driver: Driver) -> bool:
        return driver.inspection.find(self._id) is not None

    def _find(self) -> JobRecord:
        record = self._driver.inspection.find(self._id)
        if record is None:
            raise JobNotFound(self.id)
        return record

    def _result(self, record: JobRecord) -> R_co:
        match record.state:
            case State.COMPLETED:
                body = self._seals.opened_result(record, record.result)
                value: R_co = decode_as(body, self._result_type)
                return value
            case State.FAILED:
                error = record.error or ErrorInfo("Unknown", "no error was recorded")
                raise JobFailed(self.id, error.type, error.message)
            case State.CANCELLED:
                raise JobCancelled(self.id)
            case _:
                raise JobNotFinished(self.id, record.state)

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"


def _status(
    record: JobRecord, connection: str, result: Any, attachments: tuple[Attachment, ...]
) -> JobStatus:
    started = record.state in FINISHED or record.state is State.PROCESSING
    return JobStatus(
        id=id_text(record.id),
        name=record.name,
        connection=connection,
        queue=record.queue,
        state=record.state,
        cancelling=record.cancelling,
        attempt=record.attempts + (record.state is State.PROCESSING),
        progress=record.progress,
        created_at=_moment(record.created_at),
        due_at=as_datetime(record.due_at),
        started_at=as_datetime(record.started_at or record.claimed_at) if started else None,
        finished_at=as_datetime(record.ended_at) if record.state in FINISHED else None,
        result=result,
        error=record.error,
        tenant=record.tenant,
        user=record.user,
        locale=record.locale,
        attachments=attachments,
    )


def _moment(us: int) -> datetime:
    moment = as_datetime(us)
    assert moment is not None
    return moment


def decode_as(raw: bytes | None, kind: Any) -> Any:
    """The result as the type the job declares, or as plain JSON values where that cannot be."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.ValidationError, TypeError):
        return msgspec.json.decode(raw)
