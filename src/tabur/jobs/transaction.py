"""A job's own transaction, which ends with the job's settle. The token of its claim fences it: who
has lost the claim writes nothing."""

from __future__ import annotations

import logging
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from tabur.drivers.contract import Fencing
from tabur.errors import ClaimLost, PayloadError, StoreError, TaburError
from tabur.jobs.settling import RunningJob, is_lost, own_settle_of
from tabur.model.clock import now_us
from tabur.model.codec import encode_result
from tabur.model.decide import decide
from tabur.model.outcome import Ended, Outcome, Transition
from tabur.model.records import Progress
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
            body = encode_result(ctx.result, "ctx.result")
            result = self._backing.seals.result(ctx.job, body)
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
        if self._fencing and is_lost(ctx, error):
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


def _close(session: Session) -> None:
    """Roll back what is not committed. (After a commit that failed on the client's side, a close
    alone would give the connection back with its transaction open.)"""
    try:
        session.rollback()
        session.close()
    except Exception:  # the connection is dead, and there is nothing left to roll back
        with suppress(Exception):
            session.invalidate()
