"""What a run needs to settle itself in a transaction of its own, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from tabur.drivers.contract import Driver, Fencing
from tabur.errors import ConfigError, StoreError, TaburError
from tabur.jobs.seals import NO_SEALS, Seals
from tabur.jobs.sessions import Sessions
from tabur.model.clock import apart
from tabur.model.outcome import Outcome
from tabur.model.records import ClaimedJob, Progress

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tabur.jobs.registry import Registry

#: Stores of one process alone, in which nobody can take a claim away.
_ALONE = ("memory", "sync", "fake")


class Backing:
    """What the jobs of one process need for transactions of their own. `open_driver` opens the
    store that their claims are in; None: they run without one. `registry` knows the types of
    results, `seals` what of them is encrypted."""

    def __init__(
        self,
        open_driver: Callable[[], Driver] | None,
        sessions: Sessions,
        worker: str = "",
        *,
        registry: Registry | None = None,
        seals: Seals = NO_SEALS,
    ) -> None:
        self._open = open_driver
        self.sessions = sessions
        self.worker = worker
        self.registry = registry
        self.seals = seals
        self._kept: dict[bytes, bytes] = {}
        """Cursors of jobs whose store keeps none."""

    @property
    def connection(self) -> str:
        return "" if self._open is None else self._open().name

    @property
    def driver(self) -> Driver:
        """The store. Raises ConfigError for a run without one."""
        if self._open is None:
            raise ConfigError("This run has no store: it was called by .run().")
        return self._open()

    @property
    def alone(self) -> bool:
        """There is nothing to fence: a session is committed, and the job settled afterwards."""
        return self._open is None or self._open().name in _ALONE

    def fence(self, what: str) -> Fencing | None:
        """None where there is nothing to fence. Raises ConfigError where there can be no fence."""
        if self._open is None or self.alone:
            return None
        driver = self._open()
        if isinstance(driver, Fencing):
            return driver
        raise ConfigError(
            f"{what} needs the queue and your data in one database (QUEUE_CONNECTION=database): no "
            f"transaction spans {driver.name} and your session. Commit the session yourself, and "
            "write the job so that a second run finds what the first has done."
        )

    def ahead(self) -> int:
        """By how many microseconds the store's clock is ahead of this host's, which may be wrong:
        history goes by the store's."""
        return 0 if self._open is None else apart(self._open().now())

    def has_completed(self, job_id: bytes, token: bytes) -> bool:
        """Whether a job whose process is gone has completed in a transaction of its own. Waits for
        a commit that is on its way; False where the store cannot be asked."""
        if self._open is None:
            return False
        with suppress(StoreError):
            driver = self._open()
            if isinstance(driver, Fencing):
                return driver.is_settled(job_id, token)
        return False

    def has_moved_on(self, job_id: bytes, token: bytes) -> bool:
        """Whether it is certain that a claim is not this worker's any more."""
        if self._open is None or not self.worker:
            return False
        with suppress(StoreError):
            return (job_id, token) not in self._open().claiming.held(self.worker)
        return False

    def cursor(self, job_id: bytes) -> bytes | None:
        if self._open is None or self.alone:
            return self._kept.get(job_id)
        return self._open().inspection.cursor(job_id)

    def keep(self, connection: Connection, job_id: bytes, cursor: bytes) -> None:
        """Keep a cursor here, once the transaction on `connection` has committed."""
        from sqlalchemy import event

        ended: list[bool] = []

        def committed(_: Connection) -> None:
            if not ended:
                self._kept[job_id] = cursor
            ended.append(True)

        event.listen(connection, "commit", committed, once=True)
        event.listen(connection, "rollback", lambda _: ended.append(True), once=True)


class RunningJob(Protocol):
    """What a transaction needs of the context of a run."""

    own_settle: OwnSettle | None

    @property
    def job(self) -> ClaimedJob: ...

    @property
    def job_id(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def backing(self) -> Backing: ...

    @property
    def result(self) -> Any: ...

    @property
    def last_progress(self) -> Progress: ...

    @property
    def started_at(self) -> int: ...


class OwnSettle:
    """How far a run has come with settling itself."""

    __slots__ = ("completed", "failed", "lost", "open")

    def __init__(self) -> None:
        self.failed = False
        """It has failed for good, and only its `failed()` runs."""
        self.open = False
        """A transaction is."""
        self.completed: Outcome | None = None
        """A transaction has committed with this."""
        self.lost = False
        """The claim has moved on: whatever this run ends with, it is not to be told."""

    def check(self, what: str) -> None:
        """Raises TaburError where `what` makes no sense: in a transaction, after one, and, but for
        files, in `failed()`."""
        if self.failed and what in _IN_FAILED:
            raise TaburError(f"{what} in failed(): {_IN_FAILED[what]}")
        if self.open:
            raise TaburError(f"{what} inside ctx.transaction(): {_INSIDE[what]}")
        if self.completed is not None:
            raise TaburError(f"{what} after ctx.transaction(): {_AFTER[what]}")


def own_settle_of(ctx: RunningJob) -> OwnSettle:
    """Most runs have none, and do not pay for it."""
    if ctx.own_settle is None:
        ctx.own_settle = OwnSettle()
    return ctx.own_settle


def is_lost(ctx: RunningJob, error: BaseException) -> bool:
    """Whether a fence that could not be asked would have said no. Under REPEATABLE READ an engine
    answers with an error where another has changed the claim since the transaction began. Then
    this run's end is not to be told: its `failed()` would be called while another goes on."""
    if not isinstance(error, Exception) or isinstance(error, TaburError):
        return False
    job, state = ctx.job, own_settle_of(ctx)
    state.lost = state.lost or ctx.backing.has_moved_on(job.id, job.token)
    return state.lost


_IN_FAILED = {
    "ctx.transaction()": "the job has failed and cannot be completed. Use a session of your own.",
    "ctx.checkpoint()": "the job has failed. Commit your session without it.",
}
_INSIDE = {
    "ctx.transaction()": "the job is completed at the end of the outer block, once. For a part "
    "that may fail write with session.begin_nested().",
    "ctx.checkpoint()": "the block commits once, at its end, and with that the job is completed: "
    "there is nothing to go on from.",
    "ctx.attach()": "a file is kept at once and not rolled back. Attach it before the block.",
}
_AFTER = {
    "ctx.transaction()": "the job was completed by the first. Put all into one, or commit sessions "
    "of your own with ctx.checkpoint(session, cursor=…) and end with one ctx.transaction().",
    "ctx.checkpoint()": "the job is completed, and there is nothing to go on from.",
    "ctx.attach()": "the job is completed. Attach its files before the block.",
    "ctx.result": "the result was kept with the job's end. Set it inside the block.",
}
