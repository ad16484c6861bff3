"""Sends pending jobs to their stores: at once, in the caller's transaction, or after its commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tabur.dispatch import callers
from tabur.dispatch.composed import OutgoingBatch, connections_of, outgoing
from tabur.dispatch.outgoing import Outgoing
from tabur.dispatch.routes import Route, Sent
from tabur.drivers.contract import Driver, Relaying
from tabur.errors import ConfigError, StoreUnavailable, UniqueConflict
from tabur.events import Listeners
from tabur.jobs.composing.plan import Plan
from tabur.jobs.current import current_job
from tabur.jobs.handle import JobHandle
from tabur.jobs.options import DispatchSettings
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import CurrentScope
from tabur.jobs.seals import Seals
from tabur.jobs.sessions import async_connection_of, connection_of, is_async
from tabur.model.ids import id_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

R = TypeVar("R")


class StoreDispatcher:
    """Dispatches by the route of each job's connection; `route(None)` is the default one's. `seals`
    are those of its stores; `code` is the version of the application, kept with each job."""

    def __init__(
        self,
        route: Callable[[str | None], Route],
        scope: CurrentScope,
        seals: Callable[[], Seals],
        *,
        code: str = "",
        listeners: Listeners | None = None,
    ) -> None:
        self._route = route
        self._scope = scope
        self._seals = seals
        self._code = code
        self._listeners = Listeners() if listeners is None else listeners  # none yet: false

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        route = self._route_of(pending)
        session, after = _commit_of(pending.settings, at_once=True)
        job = self._job(pending)
        if session is None:
            sent = route.send([job])
            self._compare([job], sent.driver)
            self._tell([job], sent)
            return self._sent(pending, job, sent)
        if after:
            return self._send_after(session, route, pending, job)
        return self._send_in(connection_of(session), route, pending, job)

    async def dispatch_async(self, pending: PendingJob[R]) -> JobHandle[R]:
        session, after = _commit_of(pending.settings)
        if not is_async(session):
            import asyncio  # most who import tabur have no event loop; it takes 30 ms

            return await asyncio.to_thread(self.dispatch, pending)
        route = self._route_of(pending)
        job = self._job(pending)
        if after:
            return self._send_after(callers.sync_session(session), route, pending, job)
        connection = await async_connection_of(session)
        return await connection.run_sync(lambda sync: self._send_in(sync, route, pending, job))

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        """In one transaction for each connection; all share the caller's session if they name
        one."""
        many = list(pending)
        commits = [_commit_of(each.settings) for each in many]
        sessions = {id(session): session for session, _ in commits}
        if len(sessions) > 1 or any(each.settings.after_commit for each in many):
            raise ConfigError("dispatch_many takes jobs of one session, and no after_commit.")
        session = next(iter(sessions.values()), None)
        if is_async(session):
            raise ConfigError("dispatch_many takes a Session or Connection, no asynchronous one.")
        if any(after for _, after in commits):
            return [self.dispatch(each) for each in many]
        groups: dict[Route, list[int]] = {}
        for n, each in enumerate(many):
            groups.setdefault(self._route_of(each), []).append(n)
        handles: dict[int, JobHandle[Any]] = {}
        for route, places in groups.items():
            jobs = [self._job(many[n]) for n in places]
            if any(each.refuses for each in jobs):
                raise ConfigError(
                    "dispatch_many takes no job with on_conflict='raise': others would be "
                    "dispatched all the same. Give options(on_conflict='skip'), and look at "
                    "handle.was_skipped."
                )
            if session is None:
                sent = route.send(jobs)
                self._compare(jobs, sent.driver)
                self._tell(jobs, sent)
            else:
                sent = self._put(connection_of(session), route, jobs)
            for n, job in zip(places, jobs, strict=True):
                handles[n] = self._sent(many[n], job, sent)
        return [handles[n] for n in range(len(many))]

    def dispatch_plan(self, plan: Plan) -> Sequence[Driver]:
        route = self._only_route(plan)
        session, after = _commit_of(plan.settings, at_once=True)
        jobs, batches = self._composed(plan, route)
        if plan.adds_to is not None:
            return [self._send_plan(route.holding(plan.adds_to), jobs)]
        if session is None:
            return [self._send_plan(route, jobs, batches)]
        if after:
            callers.after_commit(session, partial(self._send_plan, route, jobs, batches))
            return route.drivers()
        return [self._send_plan_in(connection_of(session), route, jobs, batches)]

    async def dispatch_plan_async(self, plan: Plan) -> Sequence[Driver]:
        session, after = _commit_of(plan.settings)
        if not is_async(session):
            import asyncio

            return await asyncio.to_thread(self.dispatch_plan, plan)
        route = self._only_route(plan)
        jobs, batches = self._composed(plan, route)
        if after:
            send = partial(self._send_plan, route, jobs, batches)
            callers.after_commit(callers.sync_session(session), send)
            return route.drivers()
        connection = await async_connection_of(session)
        return [
            await connection.run_sync(lambda sync: self._send_plan_in(sync, route, jobs, batches))
        ]

    def _send_plan(
        self, route: Route, jobs: Sequence[Outgoing], batches: Sequence[OutgoingBatch] = ()
    ) -> Driver:
        sent = route.send(jobs, batches)
        self._tell(jobs, sent)
        return sent.driver

    def _send_plan_in(
        self,
        connection: Connection,
        route: Route,
        jobs: Sequence[Outgoing],
        batches: Sequence[OutgoingBatch],
    ) -> Driver:
        sent = route.transactional().send_in(connection, jobs, batches)
        self._tell_committed(connection, jobs, sent)
        return sent.driver

    def _only_route(self, plan: Plan) -> Route:
        """Raises ConfigError where its jobs would go to several stores."""
        routes = {self._route(each) for each in connections_of(plan)}
        if len(routes) > 1:
            names = ", ".join(sorted(each.name for each in routes))
            raise ConfigError(
                f"What belongs together goes to one connection, and this to several: {names}. Say "
                "which: on_connection('database')."
            )
        return routes.pop()

    def _composed(self, plan: Plan, route: Route) -> tuple[list[Outgoing], list[OutgoingBatch]]:
        scope, seals = self._scope.get(), self._seals()
        jobs = [outgoing(each, scope, code=self._code, seals=seals) for each in plan.nodes]
        batches = [OutgoingBatch(each, scope, connection=route.name) for each in plan.groups]
        return jobs, batches

    def _route_of(self, pending: PendingJob[Any]) -> Route:
        return self._route(pending.settings.connection or pending.definition.options.connection)

    def _job(self, pending: PendingJob[Any]) -> Outgoing:
        return Outgoing(pending, self._scope.get(), code=self._code, seals=self._seals())

    def _send_after(
        self, session: Any, route: Route, pending: PendingJob[R], job: Outgoing
    ) -> JobHandle[R]:
        if job.refuses:
            raise ConfigError(
                f"{pending.name}: on_conflict='raise' does not go with after_commit=True: when its "
                "unique key is looked at, it is too late to raise."
            )
        drivers = route.drivers()
        self._compare([job], drivers[0])
        handle = self._handle(pending, job, drivers)

        def send() -> None:
            sent = route.send([job])
            self._tell([job], sent)
            _heed(handle, job, sent)

        callers.after_commit(session, send)
        return handle

    def _send_in(
        self, connection: Connection, route: Route, pending: PendingJob[R], job: Outgoing
    ) -> JobHandle[R]:
        return self._sent(pending, job, self._put(connection, route, [job]))

    def _put(self, connection: Connection, route: Route, jobs: Sequence[Outgoing]) -> Sent:
        """In the caller's transaction. A store that does not answer does not hinder it, where an
        outbox stands between: then what its keys have led to is not compared."""
        store = route.transactional()
        if isinstance(store.driver, Relaying) and any(each.refuses for each in jobs):
            raise ConfigError(
                "on_conflict='raise' does not go with an outbox: when the unique key is looked at, "
                "the transaction has long committed."
            )
        with suppress(StoreUnavailable):
            self._compare(jobs, store.driver)
        sent = store.send_in(connection, jobs)
        self._tell_committed(connection, jobs, sent)
        return sent

    def _tell(self, jobs: Sequence[Outgoing], sent: Sent) -> None:
        if self._listeners:
            kept = [each for each in jobs if each.id not in sent.holders]
            self._listeners.tell(each.queued(sent.driver.name) for each in kept)

    def _tell_committed(self, connection: Connection, jobs: Sequence[Outgoing], sent: Sent) -> None:
        if self._listeners:
            callers.when_committed(connection, lambda: self._tell(jobs, sent))

    def _compare(self, jobs: Sequence[Outgoing], driver: Driver) -> None:
        """Of those with an idempotency key: is what the store keeps what was asked for?"""
        for job in jobs:
            if job.pending.settings.idempotency_key is not None:
                kept = driver.inspection.find(job.id)
                if kept is not None:
                    job.check_same(kept)

    def _sent(self, pending: PendingJob[R], job: Outgoing, sent: Sent) -> JobHandle[R]:
        handle = self._handle(pending, job, [sent.driver])
        _heed(handle, job, sent)
        return handle

    def _handle(
        self, pending: PendingJob[R], job: Outgoing, drivers: Sequence[Driver]
    ) -> JobHandle[R]:
        kind = pending.definition.result_type
        return JobHandle(drivers, job.id, kind, seals=self._seals())


def _heed(handle: JobHandle[Any], job: Outgoing, sent: Sent) -> None:
    """Where another job holds its unique key: the handle is of that one. Raises UniqueConflict
    where that is what its dispatcher wants."""
    holder = sent.holders.get(job.id)
    if holder is None:
        return
    if job.refuses:
        raise UniqueConflict(job.pending.name, id_text(holder))
    handle.skipped_for(holder)


def _commit_of(settings: DispatchSettings, *, at_once: bool = False) -> tuple[Any, bool]:
    """The session that it commits with, and whether it is sent only after that: the caller's, or
    that of the job that runs here, where all of it is one transaction. `at_once`: without await."""
    session, after = settings.session, settings.after_commit
    if session is None and after:
        raise ConfigError("after_commit=True needs session=: whose commit is meant?")
    running = current_job()
    if session is None and running is not None and running.open_session is not None:
        session, after = running.open_session, running.backing.alone
    if at_once and is_async(session):
        raise ConfigError(
            "The session is asynchronous: write await ….dispatch_async(), not ….dispatch()."
        )
    return session, after
