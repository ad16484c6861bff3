"""Sends pending jobs to the store: at once, in the caller's transaction, or after its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tabur.dispatch import callers
from tabur.dispatch.outgoing import check_same, new_job
from tabur.drivers.contract import Driver, Transactional
from tabur.errors import ConfigError
from tabur.jobs.handle import JobHandle
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import CurrentScope
from tabur.model.records import NewJob

if TYPE_CHECKING:
    from sqlalchemy import Connection

R = TypeVar("R")


class StoreDispatcher:
    """Dispatches into one driver. `run_inline`, of the `sync` connection, is called after each
    dispatch and runs its jobs; then no delay is waited for."""

    def __init__(
        self,
        driver: Callable[[], Driver],
        scope: CurrentScope,
        *,
        default_queue: str,
        run_inline: Callable[[], None] | None = None,
    ) -> None:
        self._driver = driver
        self._scope = scope
        self._default_queue = default_queue
        self._run_inline = run_inline

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        job = self._job(pending)
        session = pending.settings.session
        if session is None:
            if pending.settings.after_commit:
                raise ConfigError("after_commit=True needs session=: whose commit is meant?")
            self._send([job])
            self._compare([pending], [job])
        elif callers.is_async(session):
            raise ConfigError(
                "The session is asynchronous: write await ….dispatch_async(), not ….dispatch()."
            )
        elif pending.settings.after_commit:
            self._compare([pending], [job])
            callers.after_commit(session, lambda: self._send([job]))
        else:
            self._send_in(callers.connection_of(session), pending, job)
        return self._handle(pending, job)

    async def dispatch_async(self, pending: PendingJob[R]) -> JobHandle[R]:
        session = pending.settings.session
        if not callers.is_async(session):
            import asyncio  # most who import tabur have no event loop; it takes 30 ms

            return await asyncio.to_thread(self.dispatch, pending)
        job = self._job(pending)
        if pending.settings.after_commit:
            self._compare([pending], [job])
            callers.after_commit(callers.sync_session(session), lambda: self._send([job]))
        else:
            connection = await callers.async_connection_of(session)
            await connection.run_sync(lambda sync: self._send_in(sync, pending, job))
        return self._handle(pending, job)

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        """In one transaction; all share the caller's session if they name one."""
        many = list(pending)
        jobs = [self._job(each) for each in many]
        sessions = {id(each.settings.session): each.settings.session for each in many}
        if len(sessions) > 1 or any(each.settings.after_commit for each in many):
            raise ConfigError("dispatch_many takes jobs of one session, and no after_commit.")
        session = next(iter(sessions.values()), None)
        if session is None:
            self._send(jobs)
            self._compare(many, jobs)
        elif callers.is_async(session):
            raise ConfigError("dispatch_many takes a Session or Connection, no asynchronous one.")
        else:
            self._compare(many, jobs)
            self._transactional().dispatch_in(callers.connection_of(session), jobs)
        return [self._handle(each, job) for each, job in zip(many, jobs, strict=True)]

    def _job(self, pending: PendingJob[Any]) -> NewJob:
        job = new_job(pending, self._scope.get(), self._default_queue)
        return job if self._run_inline is None else replace(job, due_at=None)

    def _send(self, jobs: Sequence[NewJob]) -> None:
        self._driver().dispatching.dispatch(jobs)
        if self._run_inline is not None:
            self._run_inline()

    def _send_in(self, connection: Connection, pending: PendingJob[Any], job: NewJob) -> None:
        self._compare([pending], [job])
        self._transactional().dispatch_in(connection, [job])

    def _compare(self, pending: Sequence[PendingJob[Any]], jobs: Sequence[NewJob]) -> None:
        """Of those with an idempotency key: is what the store keeps what was asked for?"""
        for each, job in zip(pending, jobs, strict=True):
            if each.settings.idempotency_key is not None:
                kept = self._driver().inspection.find(job.id)
                if kept is not None:
                    check_same(each, kept)

    def _transactional(self) -> Transactional:
        driver = self._driver()
        if isinstance(driver, Transactional):
            return driver
        raise ConfigError(
            f"session= needs QUEUE_CONNECTION=database, not {driver.name}. With another one, "
            "dispatch after the commit: options(session=session, after_commit=True)."
        )

    def _handle(self, pending: PendingJob[R], job: NewJob) -> JobHandle[R]:
        return JobHandle(self._driver(), job.id, pending.definition.result_type)
