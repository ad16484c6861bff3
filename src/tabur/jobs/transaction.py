"""A job's own transaction, which ends with the job's settle, and its checkpoints. The token of its
claim fences both: who has lost the claim writes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any, Protocol

from msgspec.structs import replace

from tabur.drivers.contract import Driver, Fencing
from tabur.errors import ClaimLost, ConfigError, PayloadError, StoreError, TaburError
from tabur.jobs.sessions import Sessions, async_connection_of, connection_of, is_async
from tabur.model.clock import apart, now_us
from tabur.model.codec import encode_cursor, encode_result
from tabur.model.decide import decide
from tabur.model.outcome import Ended, Outcome, Transition
from tabur.model.records import ClaimedJob, Progress
from tabur.model.retry import Policy

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session, SessionTransaction


_log = logging.getLogger("tabur.job")

#: Seconds before each question whether a commit without an answer has happened: a server that is
#: restarted is back within them.
_ASK_AGAIN = (0, 0.1, 0.3, 1, 2, 4, 8, 15)
#: Stores of one process alone, in which nobody can take a claim away.
_ALONE = ("memory", "sync", "fake")


class Backing:
    """What the jobs of one process need for transactions of their own. `open_driver` opens the
    store that their claims are in; None: they run without one."""

    def __init__(
        self, open_driver: Callable[[], Driver] | None, sessions: Sessions, worker: str = ""
    ) -> None:
        self._open = open_driver
        self.sessions = sessions
        self.worker = worker
        self._kept: dict[bytes, bytes] = {}
        """Cursors of jobs whose store keeps none."""

    @property
    def connection(self) -> str:
        return "" if self._open is None else self._open().name

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


class JobTransaction:
    """One block: `with` gives a Session, `async with` an AsyncSession. At its end the job is
    completed and all committed, or ClaimLost is raised and nothing written."""

    def __init__(self, ctx: RunningJob, sessions: Any = None) -> None:
        self._ctx = ctx
        self._given = sessions
        self._backing = ctx.backing
        self._state = own_settle_of(ctx)
        self._fence: Fencing | None = None
        self._session: Session | None = None
        self._async_session: AsyncSession | None = None
        self._root: SessionTransaction | None = None
        self._room: asyncio.Semaphore | None = None
        self._fencing = False
        """The store was asked to fence, and has not answered."""
        self._in_doubt: Outcome | None = None
        """With this a commit was asked for, and no answer has come."""

    def __enter__(self) -> Session:
        self._enter()
        try:
            session = self._session = self._backing.sessions.session(self._given)
            self._begin(session)
        except BaseException:
            self._leave()
            raise
        return session

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        try:
            self._end(self._session, error)
        except BaseException as why:
            if not self._is_well_after(why):
                raise
        finally:
            self._leave()

    async def __aenter__(self) -> AsyncSession:
        self._enter()
        try:
            sessions = self._backing.sessions
            session = self._async_session = sessions.async_session(self._given)
            room = sessions.room(self._given)
            if room is not None:
                await room.acquire()
                self._room = room
            await session.run_sync(self._begin)
        except BaseException:
            self._leave()
            raise
        return session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        import asyncio

        assert self._async_session is not None
        try:
            await self._async_session.run_sync(self._end, error)
        except BaseException as why:
            asked = self._fencing or self._in_doubt is not None
            if not asked or not await asyncio.to_thread(self._is_well_after, why):
                raise
        finally:
            self._leave()

    def _enter(self) -> None:
        if self._state.lost:
            raise ClaimLost(self._ctx.job_id)
        self._state.check("ctx.transaction()")
        self._fence = self._backing.fence("ctx.transaction()")
        self._state.open = True

    def _leave(self) -> None:
        self._state.open = False
        if self._room is not None:
            self._room.release()
            self._room = None

    # with the session that SQLAlchemy works with, in either colour

    def _begin(self, session: Session) -> None:
        from sqlalchemy import event

        event.listen(session, "after_begin", self._begun)
        event.listen(session, "before_commit", self._refuse_other_commits)
        try:
            self._root = session.begin()
            # Whoever ends it inside the block cannot begin another there.
            self._root.__enter__()
            session.connection()
        except BaseException:
            _close(session)
            raise

    def _begun(
        self, session: Session, transaction: SessionTransaction, connection: Connection
    ) -> None:
        """Of each connection that takes part: a session may have several engines."""
        if self._fence is not None and not transaction.nested:
            self._fence.begin_in(connection)

    def _refuse_other_commits(self, session: Session) -> None:
        if self._in_doubt is None and not session.in_nested_transaction():
            raise TaburError(
                "session.commit() inside ctx.transaction(): the block commits at its end, together "
                "with the end of the job. For several transactions commit sessions of your own, "
                "each with ctx.checkpoint(session, cursor=…). This one is rolled back."
            )

    def _end(self, session: Session, error: BaseException | None) -> None:
        try:
            if error is None:
                self._settle(session)
        finally:
            _close(session)  # and rolls back what was not committed

    def _settle(self, session: Session) -> None:
        if session.get_transaction() is not self._root:
            raise TaburError(
                "The session was rolled back or closed inside ctx.transaction(), so that what the "
                "job is to be completed with is gone: it is not completed. For a part that may "
                "fail write with session.begin_nested()."
            )
        session.flush()
        ctx = self._ctx
        try:
            result = encode_result(ctx.result, "ctx.result")
        except PayloadError as problem:
            raise PayloadError(f"{problem} The transaction was rolled back.") from None
        ahead = self._backing.ahead()
        outcome = Outcome(Ended.COMPLETED, ctx.started_at + ahead, now_us() + ahead, result)
        if self._fence is not None:
            # Last of all, since it locks the claim: who rescues a worker that has stopped does not
            # wait for it.
            self._fencing = True
            held = self._fence.settle_in(session.connection(), self._move(outcome))
            self._fencing = False
            if not held:
                self._state.lost = True
                raise ClaimLost(ctx.job_id)
            outcome = replace(outcome, settled=True)
        self._in_doubt = outcome
        session.commit()
        self._state.completed = outcome

    def _move(self, outcome: Outcome) -> Transition:
        progress = self._ctx.last_progress
        return decide(
            self._ctx.job,
            Policy(),
            outcome,
            worker=self._backing.worker,
            now=outcome.ended_at,
            random=0.0,
            progress=None if progress == Progress() else progress,
        )

    def _is_well_after(self, error: BaseException) -> bool:
        """Whether, in spite of `error`, the commit has happened, and only its answer was lost. What
        ends the run from outside goes on in any case. Raises ClaimLost where that is behind it."""
        ctx = self._ctx
        if self._fencing and _is_lost(ctx, error):
            raise ClaimLost(ctx.job_id) from error
        if self._in_doubt is None:
            return False
        if self._state.completed is None:
            if self._fence is None or not self._ask(patient=isinstance(error, Exception)):
                return False
            self._state.completed = self._in_doubt
        if not isinstance(error, Exception):
            return False
        _log.warning(
            "%s %s: its transaction has committed although this was raised",
            ctx.name,
            ctx.job_id,
            exc_info=error,
        )
        return True

    def _ask(self, *, patient: bool) -> bool:
        """Whether the store knows of the settle. Where it does not answer that either, the job ends
        with its error, and its settle will find out."""
        assert self._fence is not None
        job = self._ctx.job
        for pause in _ASK_AGAIN if patient else (0,):
            sleep(pause)
            with suppress(StoreError):
                return self._fence.is_settled(job.id, job.token)
        return False


def checkpoint(ctx: RunningJob, session: Any, cursor: Any) -> None:
    raw = encode_cursor(cursor)
    if is_async(session):
        raise ConfigError(
            "The session is asynchronous: write await ctx.checkpoint_async(session, cursor=…)."
        )
    try:
        _keep_in(ctx, connection_of(session), raw)
    except Exception as error:
        if isinstance(error, ClaimLost) or _is_lost(ctx, error):
            session.rollback()  # here, so that whoever swallows the error commits nothing either
            raise ClaimLost(ctx.job_id) from error
        raise


async def checkpoint_async(ctx: RunningJob, session: Any, cursor: Any) -> None:
    import asyncio

    raw = encode_cursor(cursor)
    if not is_async(session):
        raise ConfigError(
            "The session is not asynchronous: write ctx.checkpoint(session, cursor=…)."
        )
    connection = await async_connection_of(session)
    try:
        await connection.run_sync(lambda sync: _keep_in(ctx, sync, raw))
    except Exception as error:
        if isinstance(error, ClaimLost) or await asyncio.to_thread(_is_lost, ctx, error):
            await session.rollback()
            raise ClaimLost(ctx.job_id) from error
        raise


def _keep_in(ctx: RunningJob, connection: Connection, cursor: bytes) -> None:
    state, backing = own_settle_of(ctx), ctx.backing
    if state.lost:
        raise ClaimLost(ctx.job_id)
    state.check("ctx.checkpoint()")
    fence = backing.fence("ctx.checkpoint()")
    if fence is None:
        backing.keep(connection, ctx.job.id, cursor)
    elif not fence.checkpoint_in(connection, ctx.job.id, ctx.job.token, cursor):
        state.lost = True
        raise ClaimLost(ctx.job_id)


def _is_lost(ctx: RunningJob, error: BaseException) -> bool:
    """Whether a fence that could not be asked would have said no. Under REPEATABLE READ an engine
    answers with an error where another has changed the claim since the transaction began. Then
    this run's end is not to be told: its `failed()` would be called while another goes on."""
    if not isinstance(error, Exception) or isinstance(error, TaburError):
        return False
    job, state = ctx.job, own_settle_of(ctx)
    state.lost = state.lost or ctx.backing.has_moved_on(job.id, job.token)
    return state.lost


def _close(session: Session) -> None:
    """Roll back what is not committed. (After a commit that failed on the client's side, a close
    alone would give the connection back with its transaction open.)"""
    try:
        session.rollback()
        session.close()
    except Exception:  # the connection is dead, and there is nothing left to roll back
        with suppress(Exception):
            session.invalidate()


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
