"""Sends pending jobs to their stores: at once, in the caller's transaction, or after its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tabur.dispatch import callers
from tabur.dispatch.outgoing import Outgoing, check_same
from tabur.dispatch.routes import Route
from tabur.drivers.contract import Driver
from tabur.errors import ConfigError, StoreUnavailable
from tabur.jobs.handle import JobHandle
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import CurrentScope
from tabur.jobs.sessions import async_connection_of, connection_of, is_async

if TYPE_CHECKING:
    from sqlalchemy import Connection

R = TypeVar("R")


class StoreDispatcher:
    """Dispatches by the route of each job's connection; `route(None)` is the default one's. `code`
    is the version of the application, kept with each job."""

    def __init__(
        self, route: Callable[[str | None], Route], scope: CurrentScope, *, code: str = ""
    ) -> None:
        self._route = route
        self._scope = scope
        self._code = code

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        route = self._route_of(pending)
        session = pending.settings.session
        if session is None and pending.settings.after_commit:
            raise ConfigError("after_commit=True needs session=: whose commit is meant?")
        if is_async(session):
            raise ConfigError(
                "The session is asynchronous: write await ….dispatch_async(), not ….dispatch()."
            )
        job = self._job(pending)
        if session is None:
            driver = route.send([job])
            self._compare([job], driver)
            return self._handle(pending, job, [driver])
        if pending.settings.after_commit:
            return self._send_after(session, route, pending, job)
        return self._send_in(connection_of(session), route, pending, job)

    async def dispatch_async(self, pending: PendingJob[R]) -> JobHandle[R]:
        session = pending.settings.session
        if not is_async(session):
            import asyncio  # most who import tabur have no event loop; it takes 30 ms

            return await asyncio.to_thread(self.dispatch, pending)
        route = self._route_of(pending)
        job = self._job(pending)
        if pending.settings.after_commit:
            return self._send_after(callers.sync_session(session), route, pending, job)
        connection = await async_connection_of(session)
        return await connection.run_sync(lambda sync: self._send_in(sync, route, pending, job))

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        """In one transaction for each connection; all share the caller's session if they name
        one."""
        many = list(pending)
        sessions = {id(each.settings.session): each.settings.session for each in many}
        if len(sessions) > 1 or any(each.settings.after_commit for each in many):
            raise ConfigError("dispatch_many takes jobs of one session, and no after_commit.")
        session = next(iter(sessions.values()), None)
        if is_async(session):
            raise ConfigError("dispatch_many takes a Session or Connection, no asynchronous one.")
        groups: dict[Route, list[int]] = {}
        for n, each in enumerate(many):
            groups.setdefault(self._route_of(each), []).append(n)
        handles: dict[int, JobHandle[Any]] = {}
        for route, places in groups.items():
            jobs = [self._job(many[n]) for n in places]
            if session is None:
                driver = route.send(jobs)
                self._compare(jobs, driver)
            else:
                driver = self._put(connection_of(session), route, jobs)
            for n, job in zip(places, jobs, strict=True):
                handles[n] = self._handle(many[n], job, [driver])
        return [handles[n] for n in range(len(many))]

    def _route_of(self, pending: PendingJob[Any]) -> Route:
        return self._route(pending.settings.connection or pending.definition.options.connection)

    def _job(self, pending: PendingJob[Any]) -> Outgoing:
        return Outgoing(pending, self._scope.get(), code=self._code)

    def _send_after(
        self, session: Any, route: Route, pending: PendingJob[R], job: Outgoing
    ) -> JobHandle[R]:
        drivers = route.drivers()
        self._compare([job], drivers[0])

        def send() -> None:
            route.send([job])

        callers.after_commit(session, send)
        return self._handle(pending, job, drivers)

    def _send_in(
        self, connection: Connection, route: Route, pending: PendingJob[R], job: Outgoing
    ) -> JobHandle[R]:
        return self._handle(pending, job, [self._put(connection, route, [job])])

    def _put(self, connection: Connection, route: Route, jobs: Sequence[Outgoing]) -> Driver:
        """In the caller's transaction. A store that does not answer does not hinder it, where an
        outbox stands between: then what its keys have led to is not compared."""
        store = route.transactional()
        with suppress(StoreUnavailable):
            self._compare(jobs, store.driver)
        return store.send_in(connection, jobs)

    def _compare(self, jobs: Sequence[Outgoing], driver: Driver) -> None:
        """Of those with an idempotency key: is what the store keeps what was asked for?"""
        for job in jobs:
            if job.pending.settings.idempotency_key is not None:
                kept = driver.inspection.find(job.id)
                if kept is not None:
                    check_same(job.pending, kept)

    def _handle(
        self, pending: PendingJob[R], job: Outgoing, drivers: Sequence[Driver]
    ) -> JobHandle[R]:
        kind = pending.definition.result_type
        return JobHandle(drivers, job.id, kind, seals=pending.seals)
