"""What a job sees while it runs: who it is, and how it tells of its progress."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from tabur.errors import JobCancelled, TaburError
from tabur.model.clock import to_us
from tabur.model.ids import id_text
from tabur.model.records import ClaimedJob, Progress

if TYPE_CHECKING:
    from datetime import timedelta

T = TypeVar("T")

NO_PROGRESS = Progress()
MAX_ATTACHMENT = 100 * 1024 * 1024
_log = logging.getLogger("tabur.job")


class Reporter(Protocol):
    """Where a run's reports go; the worker implements it. None of it waits for the store but
    `attach`."""

    def progress(self, ctx: JobContext) -> None:
        """`ctx.last_progress` has changed."""

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int: ...

    def cancelled(self, ctx: JobContext) -> bool: ...

    @property
    def stopping(self) -> bool:
        """The worker ends soon."""


class ReleaseJob(BaseException):
    """Ends a run: again later. Not an Exception, so that `except Exception` lets it pass."""

    def __init__(self, delay: int) -> None:
        self.delay = delay


class FailJob(BaseException):
    """Ends a run: failed for good, with the reason a person gave."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class GaveUp(TaburError):
    """What `ctx.fail("text")` records: its text is written for users."""

    # Errors are kept under this name; no class of a user's is called so by accident, and texts
    # that were not written for users stay with the operators.
    __qualname__ = "tabur.GaveUp"

    permanent = True


class JobContext:
    """The running job, given to a function or `handle` that asks for it."""

    __slots__ = ("_job", "_reporter", "last_progress")

    def __init__(self, job: ClaimedJob, reporter: Reporter) -> None:
        self._job = job
        self._reporter = reporter
        self.last_progress = NO_PROGRESS

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
        if name is None:
            if isinstance(content, bytes):
                raise TypeError("attach(bytes) needs name=, such as 'report.csv'")
            name = content.name
        return self._reporter.attach(self, content, name, media_type)

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

    def fail(self, error: BaseException | str) -> NoReturn:
        """End the job as failed, now and for good. A text is shown to its owner as it stands."""
        raise FailJob(GaveUp(error) if isinstance(error, str) else error)
