"""An app with its stores: what workers, commands and pages ask it for, and where the parts are
wired."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabur.config import Settings
from tabur.dispatch.dispatcher import StoreDispatcher
from tabur.dispatch.routing import Routing
from tabur.dispatch.switch import Switch
from tabur.drivers.contract import Driver, Transactional
from tabur.drivers.stores import ConfiguredStores, Stores
from tabur.errors import ConfigError
from tabur.events import Listeners
from tabur.jobs.pending import Dispatcher, Sender
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope
from tabur.jobs.seals import Seals, seals_of
from tabur.jobs.sessions import Sessions
from tabur.worker.runtime import Runtime

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
    from sqlalchemy.orm import sessionmaker

    from tabur.operations.scaling import QueueScale


class Connected:
    """The settings, the jobs and the stores of an app; nothing is opened before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registry = Registry()
        self.seals: Seals = seals_of(self.settings, self.registry.get)
        """What of its jobs is encrypted or signed in stores."""
        self.spec: str | None = None
        """Where commands find this object, such as `shop.main:jobs`, once one has looked for it."""
        self._scope = CurrentScope()
        self._listeners = Listeners()
        self._stores: Stores = ConfiguredStores(self.settings)
        self._routing = Routing(self.settings, lambda: self.connections)
        self._dispatcher: Dispatcher = StoreDispatcher(
            self._routing.routes(self.driver_of, run_inline=self._run_inline),
            self._scope,
            lambda: self.seals,
            code=self.settings.version,
            listeners=self._listeners,
        )
        self._sessions = Sessions(lambda: self._stores.get("database"))
        self._sending: Sender = Switch(
            lambda: self._dispatcher,
            self.registry,
            self._scope,
            self._sessions,
            lambda: self.seals,
        )

    @property
    def connection(self) -> str:
        """Where a job goes that names no connection."""
        return self.settings.connection

    @property
    def connections(self) -> tuple[str, ...]:
        """The stores in use, the default one first: those of `failover`, those that jobs declare,
        and what the setting `connections` adds."""
        declared = [each.options.connection for each in self.registry]
        named = [self.connection, *filter(None, declared), *self.settings.connections]
        stores: list[str] = []
        for name in named:
            stores += self.settings.failover if name == "failover" else [name]
        return tuple(dict.fromkeys(stores))

    @property
    def key(self) -> str | None:
        return self.settings.key

    @property
    def previous_keys(self) -> tuple[str, ...]:
        return self.settings.previous_keys

    @property
    def driver(self) -> Driver:
        """The store of the default connection (the first of `failover`), opened when first needed.
        Raises ConfigError, StoreUnavailable."""
        return self.driver_of(self.connection)

    @property
    def drivers(self) -> list[Driver]:
        """The stores in use, the default one first."""
        return [*(self.driver_of(name) for name in self.connections), *self._stores.beside]

    def driver_of(self, connection: str) -> Driver:
        """The store of one connection, of `failover` its first. Raises ConfigError."""
        return self._stores.get(
            self.settings.failover[0] if connection == "failover" else connection
        )

    def queues_of(self, connection: str) -> tuple[str, ...]:
        """The queues that jobs of this app go to by themselves on one connection, the default one
        first, then in the order in which the jobs were declared."""
        jobs = [
            each.options.queue
            for each in self.registry
            if (each.options.connection or self.connection) == connection
        ]
        return tuple(dict.fromkeys([self.settings.queue_on(connection), *filter(None, jobs)]))

    def scaling(
        self,
        *,
        queues: Sequence[str] = (),
        connection: str | None = None,
        min_processes: int = 1,
        max_processes: int = 10,
        target: float = 60.0,
        concurrency: int | None = None,
    ) -> list[QueueScale]:
        """How full queues are and how many worker processes they need, for a scaler outside: for
        each of `queues`, or of all that jobs go to by themselves.

        `target`: seconds in which what waits is to be worked off; `concurrency`: that of the
        workers. `tabur.operations.scaling.exposition` makes a page for Prometheus of the answer.
        Raises StoreUnavailable, SchemaMissing, ConfigError.
        """
        from tabur.model.scaling import Limits
        from tabur.operations.scaling import scaling
        from tabur.worker.balancing.balancing import slots_by_queue
        from tabur.worker.options import WorkOptions

        name = connection or self.connection
        asked = tuple(queues) or self.queues_of(name)
        options = WorkOptions(
            queues=asked, async_slots=concurrency or 100, thread_slots=concurrency or 10
        )
        return scaling(
            self.driver_of(name),
            asked,
            slots=slots_by_queue(self.registry, options, default=self.settings.queue_on(name)),
            limits=Limits(min_processes, max_processes),
            target=target,
        )

    def migrate(self) -> list[str]:
        """Make the tables of every connection or bring them up to date; safe to repeat. Answers
        what was done."""
        return [step for driver in self.drivers for step in driver.migrate()]

    def install(self, engine: Engine) -> None:
        """Prepare the application's own engine for dispatch in its transactions."""
        drivers = [driver for driver in self.drivers if isinstance(driver, Transactional)]
        if not drivers:
            raise ConfigError(
                f"install() is for QUEUE_CONNECTION=database, not {self.connection}, or for an "
                "outbox (TABUR_OUTBOX_URL)."
            )
        for driver in drivers:
            driver.install(engine)

    def use_sessions(
        self, *sessions: sessionmaker[Any] | Engine | async_sessionmaker[Any] | AsyncEngine
    ) -> None:
        """Where `ctx.transaction()` gets its sessions from: one that is synchronous, one that is
        not, or both. They must lead to the queue's own database. Call it where the app is made,
        for workers import that too. Raises ConfigError."""
        self._sessions.use(*sessions)

    def attachment_path(self, relative: str) -> Path:
        """Where a job's attachment lies; `relative` as `Attachment.path` gives it."""
        return self.settings.attachments / relative

    @property
    def runtime(self) -> Runtime:
        """What a worker of the default connection needs of this app."""
        return self.runtime_of(self.connection)

    def runtime_of(self, connection: str) -> Runtime:
        """What a worker of this connection needs."""
        return Runtime(
            self.registry,
            self._scope,
            self.settings,
            lambda: self.driver_of(connection),
            self._sessions,
            self._listeners,
            self.seals,
        )

    def close(self) -> None:
        """Close the stores' connections; the next use opens them again."""
        self._sessions.close()
        self._stores.close()

    def _run_inline(self) -> None:
        from tabur.worker.inline import drain

        drain(self.runtime_of("sync"))
