"""What a job sees while it runs: who it is, and how it tells of its progress."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, overload

from tabur.errors import JobCancelled, TaburError
from tabur.jobs.checkpoints import checkpoint, checkpoint_async
from tabur.jobs.sessions import is_async as is_async_session
from tabur.jobs.settling import Backing, OwnSettle
from tabur.jobs.transaction import JobTransaction
from tabur.model.clock import to_us
from tabur.model.codec import decode_cursor
from tabur.model.ids import id_text, idempotent_key
from tabur.model.records import ClaimedJob, Progress, decode_options
from tabur.model.trace import trace_id, traceparent_of

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import timedelta

    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import (
        AsyncConnection,
        AsyncEngine,
        AsyncSession,
        async_sessionmaker,
    )
    from sqlalchemy.orm import Session, sessionmaker

    from tabur.jobs.composing.handle import BatchHandle

T = TypeVar("T")
S = TypeVar("S", bound="Session")
A = TypeVar("A", bound="AsyncSession")

NO_PROGRESS = Progress()
_UNREAD = object()
MAX_ATTACHMENT = 100 * 1024 * 1024
_log = logging.getLogger("tabur.job")


class Reporter(Protocol):
    """Where a run's reports go; the worker implements it. None of it waits for the store but
    `attach`. `backing` is what a transaction of the job's own needs."""

    @property
    def backing(self) -> Backing: ...

    def progress(self, ctx: JobContext) -> None:
        """`ctx.last_progress` has changed."""

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int: ...

    def cancelled(self, ctx: JobContext) -> bool: ...

    @property
    def stopping(self) -> bool:
        """The worker ends soon."""


class ReleaseJob(BaseException):
    """Ends a run: again later. Not an Exception, so that `except Exception` lets it pass."""

    def __init__(self, delay: int, *, charged: bool = True) -> None:
        self.delay = delay
        self.charged = charged
        """It spends an attempt."""


class FailJob(BaseException):
    """Ends a run: failed for good, with the reason a person gave."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class CancelJob(BaseException):
    """Ends a run: cancelled by the job itself."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class GaveUp(TaburError):
    """What `ctx.fail("text")` records: its text is written for users."""

    # Errors are kept under this name; no class of a user's is called so by accident, and texts
    # that were not written for users stay with the operators.
    __qualname__ = "tabur.GaveUp"

    permanent = True


class JobContext:
    """The running job, given to a function or `handle` that asks for it."""

    __slots__ = (
        "_cursor",
        "_job",
        "_reporter",
        "_result",
        "args",
        "last_progress",
        "open_session",
        "own_settle",
        "started_at",
    )

    def __init__(self, job: ClaimedJob, reporter: Reporter, args: Any = None) -> None:
        self._job = job
        self.args = args
        """The job's arguments by their names, as it gets them: for middleware."""
        self._reporter = reporter
        self._cursor: Any = _UNREAD
        self._result: Any = None
        self.last_progress = NO_PROGRESS
        self.open_session: Any = None
        """For the middleware `InTransaction`: what the job dispatches goes with it."""
        self.own_settle: OwnSettle | None = None
        """For the worker: how far the run has settled itself; None: it has not tried."""
        self.started_at = 0
        """Microseconds; for the worker."""

    @property
    def job(self) -> ClaimedJob:
        """The claim this run holds: for middleware and drivers rather than for jobs."""
        return self._job

    @property
    def job_id(self) -> str:
        return id_text(self._job.id)

    @property
    def name(self) -> str:
        return self._job.name

    @property
    def queue(self) -> str:
        return self._job.queue

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._job.attempts + 1

    @property
    def tenant(self) -> str | None:
        return self._job.tenant

    @property
    def user(self) -> str | None:
        return self._job.user

    @property
    def locale(self) -> str | None:
        return self._job.locale

    @property
    def trace_id(self) -> str:
        """32 hex digits: of the request or the job that dispatched it, else its own."""
        return trace_id(self._job.id, decode_options(self._job.options).trace)

    @property
    def traceparent(self) -> str:
        """The header to send along with requests that this attempt makes."""
        carried = decode_options(self._job.options).trace
        return traceparent_of(self._job.id, self.attempt, carried)

    def progress(
        self,
        done: int,
        total: int | None = None,
        *,
        message: str | None = None,
        unit: str | None = None,
    ) -> None:
        """Tell how far the job is. Cheap: it is written at most once a second.

        `total`, `message` and `unit` stay as they were when left out.
        """
        last = self.last_progress
        self.last_progress = Progress(
            max(0, int(done)),
            last.total if total is None else max(0, int(total)),
            last.unit if unit is None else str(unit)[:40],
            last.message if message is None else str(message)[:500],
            last.warnings,
        )
        self._reporter.progress(self)

    def track(
        self,
        items: Iterable[T],
        *,
        total: int | None = None,
        unit: str | None = None,
        message: str | None = None,
    ) -> Iterator[T]:
        """Pass `items` through, counting those that are done and stopping when cancelled."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        self.progress(0, total, unit=unit, message=message)
        for done, item in enumerate(items, start=1):
            self.check_cancelled()
            yield item
            self.progress(done)

    def warn(self, message: str, *, count: int = 1) -> None:
        """Count a warning, or `count` of them: the job is shown as completed *with warnings*."""
        last = self.last_progress
        self.last_progress = Progress(
            last.done, last.total, last.unit, last.message, last.warnings + max(0, count)
        )
        self._reporter.progress(self)
        _log.info("%s %s: %s", self.name, self.job_id, message)

    def attach(
        self,
        content: Path | bytes,
        *,
        name: str | None = None,
        media_type: str = "application/octet-stream",
    ) -> int:
        """Keep a file with the job, for its owner to download; answers its number.

        At most 100 MiB. Raises PayloadError for more, and JobCancelled where the claim has moved
        on: another worker has this job now.
        """
        if self.own_settle is not None:
            self.own_settle.check("ctx.attach()")
        if name is None:
            if isinstance(content, bytes):
                raise TypeError("attach(bytes) needs name=, such as 'report.csv'")
            name = content.name
        return self._reporter.attach(self, content, name, media_type)

    @property
    def backing(self) -> Backing:
        """For transactions: the store that the claim is in, and the application's sessions."""
        return self._reporter.backing

    @property
    def result(self) -> Any:
        """The job's result, where it does not return one. In `transaction()` it has to be set here,
        to be kept with the job's end. As JSON, 64 KiB at most."""
        return self._result

    @result.setter
    def result(self, value: Any) -> None:
        if self.own_settle is not None and self.own_settle.completed is not None:
            self.own_settle.check("ctx.result")
        self._result = value

    @overload
    def transaction(self) -> JobTransaction: ...
    @overload
    def transaction(self, sessions: sessionmaker[S]) -> AbstractContextManager[S, None]: ...
    @overload
    def transaction(self, sessions: Engine) -> AbstractContextManager[Session, None]: ...
    @overload
    def transaction(
        self, sessions: async_sessionmaker[A]
    ) -> AbstractAsyncContextManager[A, None]: ...
    @overload
    def transaction(
        self, sessions: AsyncEngine
    ) -> AbstractAsyncContextManager[AsyncSession, None]: ...

    def transaction(self, sessions: Any = None) -> Any:
        """A transaction that ends with the job's own end: `with ctx.transaction() as session:`, or
        `async with`. When the block is left, the job is completed (with `ctx.result`) and all that
        was written is committed, in one: no kill and no lost answer comes between. Where the claim
        has moved on, all is rolled back and ClaimLost raised. So its rows are there exactly once.

        Sessions come from `sessions`, else from `jobs.use_sessions(…)`, else from an engine on
        DATABASE_URL. What the block raises rolls back and passes on, `ctx.release()`, `ctx.fail()`
        and timeouts too. What follows the block cannot undo it and is only logged.

        Raises ConfigError where the queue is not in the session's database, TaburError for a second
        one. On `sync` and `memory`, and by `.run()`, there is no claim to lose: the session is
        committed, and the job's end recorded after it.
        """
        return JobTransaction(self, sessions)

    def checkpoint(self, session: Session | Connection, *, cursor: Any) -> None:
        """Keep `cursor` with the job in the transaction that is open on `session`: the next attempt
        finds it as `ctx.cursor`, and what else the transaction wrote, or neither. Call it last,
        then commit; it locks the claim until then. Where the claim has moved on it rolls back and
        raises ClaimLost.

        A cursor is of JSON's own types, 64 KiB at most (PayloadError). Raises ConfigError and
        TaburError as `transaction` does.
        """
        checkpoint(self, session, cursor)

    async def checkpoint_async(
        self, session: AsyncSession | AsyncConnection, *, cursor: Any
    ) -> None:
        """As `checkpoint`, for an AsyncSession or AsyncConnection."""
        await checkpoint_async(self, session, cursor)

    @property
    def cursor(self) -> Any:
        """What the last checkpoint of an attempt before left; None where there was none. Read from
        the store when first asked for."""
        if self._cursor is _UNREAD:
            self._cursor = decode_cursor(self.backing.cursor(self._job.id))
        return self._cursor

    def idempotent(self, key: str) -> str:
        """A UUID for services that take an `Idempotency-Key`: for this job and `key` the same in
        each attempt, however often it runs. It is no secret."""
        return idempotent_key(self._job.id, key)

    @property
    def session(self) -> Session:
        """Of the middleware `InTransaction`: the session in which the whole job runs. Raises
        TaburError where there is none."""
        session: Session = self._in_transaction("ctx.session", is_async=False)
        return session

    @property
    def async_session(self) -> AsyncSession:
        """As `session`, of an `async def` job."""
        session: AsyncSession = self._in_transaction("ctx.async_session", is_async=True)
        return session

    def _in_transaction(self, what: str, *, is_async: bool) -> Any:
        if self.open_session is None or is_async_session(self.open_session) is not is_async:
            kind = "async def" if is_async else "def"
            raise TaburError(
                f"{what} is for {kind} jobs with middleware=[InTransaction()], while they run. "
                "Elsewhere: with ctx.transaction() as session."
            )
        return self.open_session

    @property
    def batch(self) -> BatchHandle | None:
        """The batch, chain or workflow that it is one of, or whose callback it is."""
        from tabur.jobs.composing.handle import BatchHandle  # most jobs have none

        options = decode_options(self._job.options)
        found = options.bonds.batch if options.bonds is not None else None
        found = found or options.callback_of
        if found is None:
            return None
        return BatchHandle([self.backing.driver], found, seals=self.backing.seals)

    @property
    def previous(self) -> Any:
        """The result of what it waited for: of the job before it in a chain; of a batch a list,
        those that completed; None where it is the first. As the type that the other job declares.
        Read from the store each time it is asked for.

        Raises TaburError where it waited for several steps of a workflow: see `results`."""
        from tabur.jobs.composing.results import previous

        return previous(decode_options(self._job.options).sources, self.backing)

    @property
    def results(self) -> Mapping[str, Any]:
        """In a workflow, the results of the steps that it waited for, by their names. Each is read
        when it is asked for."""
        from tabur.jobs.composing.results import Results

        return Results(decode_options(self._job.options).sources, self.backing)

    @property
    def cancelled(self) -> bool:
        """Its owner has asked it to stop."""
        return self._reporter.cancelled(self)

    @property
    def stopping(self) -> bool:
        """The worker is about to stop and waits for this job, for its grace at most. A job of
        many steps may `release()` then: it runs again elsewhere, and no attempt is spent."""
        return self._reporter.stopping

    def check_cancelled(self) -> None:
        """Raise JobCancelled when its owner has asked it to stop; call it between two steps."""
        if self._reporter.cancelled(self):
            raise JobCancelled(self.job_id)

    def release(self, delay: timedelta | float = 0) -> NoReturn:
        """End this attempt and run again after `delay`. The attempt counts, unless the worker is
        `stopping`."""
        raise ReleaseJob(to_us(delay))

    def snooze(self, delay: timedelta | float) -> NoReturn:
        """End this run and begin again after `delay`, as if it had not been claimed: no attempt is
        spent, and nothing remembered."""
        raise ReleaseJob(to_us(delay), charged=False)

    def cancel(self, reason: str = "It cancelled itself.") -> NoReturn:
        """End the job as cancelled, now and for good: neither done nor failed. The reason is kept
        with it."""
        raise CancelJob(reason)

    def fail(self, error: BaseException | str) -> NoReturn:
        """End the job as failed, now and for good. A text is shown to its owner as it stands."""
        raise FailJob(GaveUp(error) if isinstance(error, str) else error)
