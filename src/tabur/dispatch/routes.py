"""Where jobs go: to one store, or to the first of several that can be reached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec.structs import replace

from tabur.dispatch.composed import OutgoingBatch
from tabur.dispatch.outgoing import Outgoing
from tabur.drivers.contract import Driver, Relaying, Transactional
from tabur.errors import ConfigError, StoreUnavailable, StoreUnreachable
from tabur.model.clock import now_us
from tabur.model.records import NewJob

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = logging.getLogger("tabur.dispatch")

#: Seconds in which a store that could not be reached is asked only when no other can be: each
#: dispatch would else wait for the same connection that cannot be made.
REST = 5.0


class Sent(NamedTuple):
    """Where jobs went. `holders`: of those that were not kept for their unique key, who holds
    it."""

    driver: Driver
    holders: Mapping[bytes, bytes]


class Route(Protocol):
    """The way to the store of one connection, `name`."""

    name: str

    def drivers(self) -> Sequence[Driver]:
        """Where what goes this way may be found."""

    def send(self, jobs: Sequence[Outgoing], batches: Sequence[OutgoingBatch] = ()) -> Sent:
        """Dispatch in one transaction."""

    def holding(self, batch: bytes) -> StoreRoute:
        """The way to the store that has a batch; to the first, where none has."""

    def transactional(self) -> StoreRoute:
        """The way for a caller's own transaction. Raises ConfigError where there is none."""


class StoreRoute:
    """To one store. `queue` is for jobs that name none. `run_inline`, of the `sync` connection, is
    called after each dispatch and runs its jobs; then no delay is waited for."""

    def __init__(
        self,
        open_driver: Callable[[], Driver],
        *,
        name: str = "",
        queue: str,
        run_inline: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._queue = queue
        self._open = open_driver
        self._run_inline = run_inline

    @property
    def driver(self) -> Driver:
        return self._open()

    def drivers(self) -> Sequence[Driver]:
        return (self._open(),)

    def send(self, jobs: Sequence[Outgoing], batches: Sequence[OutgoingBatch] = ()) -> Sent:
        driver = self._open()
        try:
            now = driver.now()
        except StoreUnreachable:
            raise
        except StoreUnavailable as error:
            raise StoreUnreachable(f"{error} Nothing was dispatched.") from error
        begun, opened = self._begun(jobs, now), [each.batch(now) for each in batches]
        if self._run_inline is None:
            return Sent(driver, driver.dispatching.dispatch(begun, opened))
        at_once = [replace(job, due_at=None) for job in begun]
        holders = driver.dispatching.dispatch(at_once, opened)
        self._run_inline()
        return Sent(driver, holders)

    def holding(self, batch: bytes) -> StoreRoute:
        return self

    def send_in(
        self,
        connection: Connection,
        jobs: Sequence[Outgoing],
        batches: Sequence[OutgoingBatch] = (),
    ) -> Sent:
        """Dispatch in the transaction that is open on a caller's connection."""
        driver = self._open()
        assert isinstance(driver, Transactional)
        # An outbox is for when its store cannot be asked: there this host's clock has to do.
        now = now_us() if isinstance(driver, Relaying) else driver.now()
        opened = [each.batch(now) for each in batches]
        return Sent(driver, driver.dispatch_in(connection, self._begun(jobs, now), opened))

    def _begun(self, jobs: Sequence[Outgoing], now: int) -> list[NewJob]:
        return [each.job(now, self._queue) for each in jobs]

    def transactional(self) -> StoreRoute:
        driver = self._open()
        if isinstance(driver, Transactional):
            return self
        raise ConfigError(
            f"session= needs QUEUE_CONNECTION=database, not {driver.name}; or, for redis, an "
            "outbox in the database of your sessions: set outbox_url (TABUR_OUTBOX_URL) and run "
            "tabur migrate. Else dispatch after the commit: options(session=session, "
            "after_commit=True)."
        )


class FailoverRoute:
    """To the first of `routes` that can be reached. What one store may have got is never sent to
    another: only StoreUnreachable, which says that nothing was sent, leads to the next."""

    name = "failover"

    def __init__(
        self, routes: Sequence[StoreRoute], *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._routes = tuple(routes)
        self._clock = clock
        self._rests_until: dict[StoreRoute, float] = {}
        self._current = self._routes[0]

    def drivers(self) -> Sequence[Driver]:
        return [route.driver for route in self._routes]

    def holding(self, batch: bytes) -> StoreRoute:
        for route in self._routes:
            if route.driver.batches.find(batch) is not None:
                return route
        return self._routes[0]

    def send(self, jobs: Sequence[Outgoing], batches: Sequence[OutgoingBatch] = ()) -> Sent:
        now = self._clock()
        last: StoreUnreachable | None = None
        # Sorting keeps the order among those that rest and among those that do not.
        for route in sorted(self._routes, key=lambda each: self._rests_until.get(each, now) > now):
            try:
                sent = route.send(jobs, batches)
            except StoreUnreachable as error:
                self._rests_until[route] = self._clock() + REST
                last = error
            else:
                self._went(route, sent.driver, last)
                return sent
        assert last is not None  # there are two routes or more
        raise last

    def transactional(self) -> StoreRoute:
        """A transaction is kept by the first that can: nothing leaves the caller's database."""
        for route in self._routes:
            if isinstance(route.driver, Transactional):
                return route
        return self._routes[0].transactional()

    def _went(self, route: StoreRoute, driver: Driver, why: StoreUnreachable | None) -> None:
        if route is self._current:
            return
        self._current = route
        if route is self._routes[0]:
            _log.warning("Failover: jobs go to %s again", driver.name)
        else:
            _log.warning("Failover: jobs go to %s now: %s", driver.name, why or "the first rests")
