"""`Tabur`: the one object an application has, and the one place where the parts are wired."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast
from uuid import UUID

from tabur.config import Settings, from_env, make_settings, project_table
from tabur.dispatch.dispatcher import StoreDispatcher
from tabur.dispatch.routing import Routing
from tabur.dispatch.switch import Switch
from tabur.drivers.contract import Driver, Transactional
from tabur.drivers.stores import ConfiguredStores, Stores
from tabur.errors import ConfigError
from tabur.events import Event, Listeners
from tabur.jobs.definition import define_function
from tabur.jobs.function import FunctionJob, JobDecorator
from tabur.jobs.handle import JobHandle
from tabur.jobs.job import Job, define_class
from tabur.jobs.middleware import Middleware, made
from tabur.jobs.options import DeclaredOptions, check_name, declared
from tabur.jobs.pending import Dispatcher, PendingJob, Sender
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope, Scope
from tabur.jobs.seals import Seals, faked_seals, seals_of
from tabur.jobs.sessions import Sessions
from tabur.model.trace import read_traceparent
from tabur.worker.runtime import Runtime

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
    from sqlalchemy.orm import sessionmaker

    from tabur.alerts.declaring import Alerts
    from tabur.dispatch.recorded_plans import AnyJob
    from tabur.dispatch.recording import FakeQueue
    from tabur.jobs.composing.handle import BatchHandle, BatchStatus
    from tabur.jobs.composing.pending import Link, Member, PendingBatch, PendingChain
    from tabur.jobs.composing.running import WorkflowHandle
    from tabur.jobs.composing.workflow import Workflow
    from tabur.operations.scaling import QueueScale
    from tabur.scheduler.loop import Chore, Scheduler
    from tabur.scheduler.making import Maker
    from tabur.scheduler.schedule import Schedule
    from tabur.scheduler.stored import StoredSchedules

R = TypeVar("R")
E = TypeVar("E", bound=Event)
T = TypeVar("T")
J = TypeVar("J", bound=type[Job[Any]])


class Tabur:
    """Declares jobs, dispatches them, and knows the store they live in.

    `Tabur(connection="database", database_url="sqlite:///var/tabur.sqlite3", …)` takes the settings
    of `tabur.config.Settings` as keywords. Nothing is opened before it is needed; several may live
    side by side. Raises ConfigError.
    """

    def __init__(self, connection: str = "database", **settings: Any) -> None:
        self.settings: Settings = make_settings({"connection": connection, **settings})
        self.registry = Registry()
        self.seals: Seals = seals_of(self.settings, self.registry.get)
        """What of its jobs is encrypted or signed in stores."""
        self._scope = CurrentScope()
        self._listeners = Listeners()
        self._alerts: Alerts | None = None
        self._stores: Stores = ConfiguredStores(self.settings)
        self._routing = Routing(self.settings, lambda: self.connections)
        self._route = self._routing.routes(self.driver_of, run_inline=self._run_inline)
        self._dispatcher: Dispatcher = StoreDispatcher(
            self._route,
            self._scope,
            lambda: self.seals,
            code=self.settings.version,
            listeners=self._listeners,
        )
        self._sessions = Sessions(lambda: self._stores.get("database"))
        self._schedule: Schedule | None = None
        self.spec: str | None = None
        """Where commands find this object, such as `shop.main:jobs`, once one has looked for it."""
        self._sending: Sender = Switch(
            lambda: self._dispatcher,
            self.registry,
            self._scope,
            self._sessions,
            lambda: self.seals,
        )

    @classmethod
    def from_env(cls, env_file: str | Path | None = ".env", **overrides: Any) -> Tabur:
        """Settings from QUEUE_CONNECTION, DATABASE_URL, REDIS_URL, TABUR_KEY and their like, and
        `.env`; keyword arguments win over the environment, the environment over the file."""
        settings = from_env(env_file, overrides)
        return cls(**{name: getattr(settings, name) for name in Settings.__dataclass_fields__})

    # declaring

    def job(self, **options: Unpack[DeclaredOptions]) -> JobDecorator:
        """Make a function a job: `@jobs.job(queue="mail", tries=3, backoff=[30, 60])`.

        A leading parameter `ctx: JobContext` is given the context. Raises ConfigError.
        """

        def decorate(function: Callable[..., Any]) -> FunctionJob[..., Any]:
            name, checked = declared(getattr(function, "__name__", "?"), options)
            definition = define_function(function, name, checked)
            self.registry.add(definition)
            return FunctionJob(definition, self._sending, function)

        return cast(JobDecorator, decorate)  # its overloads say what each function becomes

    def register(self, cls: J) -> J:
        """Make a `Job` class known to this app; a class decorator. Raises ConfigError, also for a
        class that another app has: its instances could not know where to go."""
        if cls.__tabur_definition__ is not None:  # a subclass begins without one
            raise ConfigError(
                f"{cls.__name__} is registered already; make a subclass for each app."
            )
        definition = define_class(cls)
        self.registry.add(definition)
        cls.__tabur_definition__ = definition
        cls.__tabur_dispatcher__ = self._sending
        return cls

    def middleware(self, *middleware: Middleware) -> None:
        """Let every job of this app go through these, outside its own: classes with `handle` and
        `handle_async`, for jobs of both kinds. Raises ConfigError."""
        self.registry.around_all(made(middleware))

    def listen(self, *events: type[E]) -> Callable[[Callable[[E], T]], Callable[[E], T]]:
        """Tell a function of events (`tabur.events`), soon after they have happened:
        `@jobs.listen(JobFailed)`. It watches: what it raises is logged and changes nothing. Raises
        ConfigError."""

        def decorate(listener: Callable[[E], T]) -> Callable[[E], T]:
            self._listeners.add(events, listener)
            return listener

        return decorate

    @property
    def schedule(self) -> Schedule:
        """Where schedules are declared: `@jobs.schedule.daily_at("2:00")` above a job or function,
        `jobs.schedule.job(sync(shop=1)).every_five_minutes()`."""
        if self._schedule is None:
            from tabur.scheduler.outside import Outside
            from tabur.scheduler.schedule import Schedule

            outside = Outside(self.settings, lambda: self.spec)
            self._schedule = Schedule(outside, timezone=self.settings.timezone)
            self.registry.also(self._schedule.jobs)
        return self._schedule

    @property
    def schedules(self) -> StoredSchedules:
        """Schedules in the store: made, edited, paused and deleted at run time."""
        from tabur.scheduler.stored import StoredSchedules

        return StoredSchedules(
            connection=self._store_name(None),
            connections=lambda: self.connections,
            driver_of=self.driver_of,
            maker_of=self.maker,
            timezone=self.settings.timezone,
        )

    def scheduler(self, *, say: Callable[[str], None], chores: Sequence[Chore] = ()) -> Scheduler:
        """A scheduler of all connections, not begun. `say`: where it tells what it starts;
        `chores`: what it does beside. Raises ConfigError for schedules that are not complete."""
        from tabur.scheduler.loop import Scheduler, new_name
        from tabur.scheduler.ticker import Ticker

        for each in self.schedule.declared().values():
            if self._store_name(each.connection) not in self.connections:
                raise ConfigError(
                    f"The schedule {each.name!r} is for the connection {each.connection!r}, which "
                    f"this app does not say that it uses: QUEUE_CONNECTIONS={each.connection}."
                )
        name = new_name()
        tickers = []
        for connection in self.connections:
            declared = {
                each.name: each
                for each in self.schedule.declared().values()
                if self._store_name(each.connection) == connection
                and (not each.environments or self.settings.env in each.environments)
            }
            tickers.append(
                Ticker(
                    self.driver_of(connection),
                    declared,
                    self.maker(connection),
                    name=name,
                    say=say,
                    drain=self._run_inline if connection == "sync" else None,
                )
            )
        return Scheduler(tickers, say=say, chores=chores, version=self.settings.version)

    def chores(self) -> list[Chore]:
        """What a scheduler does beside its ticks."""
        from tabur.scheduler.loop import Chore

        chores: list[Chore] = []
        if self.has_alerts:
            from tabur.alerts.chore import EVERY, alert_chore

            chores.append(Chore("Looking for alerts", EVERY, alert_chore(self)))
        return chores

    def maker(self, connection: str | None) -> Maker:
        """Makes the jobs of schedules on a connection, None: the default one."""
        from tabur.scheduler.making import Maker

        name = self._store_name(connection)
        queue, code = self.settings.queue_on(name), self.settings.version
        return Maker(self.registry, self._sending, queue=queue, code=code)

    def _store_name(self, connection: str | None) -> str:
        """The connection whose store a job of this one is kept in."""
        name = connection or self.connection
        return self.settings.failover[0] if name == "failover" else name

    @property
    def alerts(self) -> Alerts:
        """What is watched, and whom it is told: `jobs.alerts.backlog(max=500, queue="mail")`,
        `jobs.alerts.email("ops@shop.example")`."""
        if self._alerts is None:
            from tabur.alerts.declaring import Alerts

            self._alerts = Alerts(self.settings, lambda: project_table().get("alerts", {}))
        return self._alerts

    @property
    def has_alerts(self) -> bool:
        """Whether anything is said of alerts: in code, in the environment or in pyproject.toml."""
        if self._alerts is not None and self._alerts.is_declared:
            return True
        settings = self.settings
        set_ = (settings.alert_email, settings.alert_webhook_url, settings.alert_slack_url)
        if any(set_) or settings.alert_urls:
            return True
        try:
            return "alerts" in project_table(mentioning="alerts")
        except ConfigError:
            return True  # whoever watches says what is wrong with it, and no scheduler ends by it

    # dispatching and looking

    def dispatch_many(self, jobs: Iterable[PendingJob[Any] | Job[Any]]) -> list[JobHandle[Any]]:
        """Dispatch many in one transaction: one statement, not a thousand. Jobs of several
        connections go in one transaction for each."""
        return self._dispatcher.dispatch_many(
            each.pending() if isinstance(each, Job) else each for each in jobs
        )

    def chain(self, *links: Link) -> PendingChain:
        """Jobs to run one after the other: `jobs.chain(extract(day=1), load(day=1)).dispatch()`. A
        link may be a batch, or another chain. Raises ConfigError."""
        from tabur.jobs.composing.pending import PendingChain, checked_links

        return PendingChain(sender=self._sending, links=checked_links(links))

    def batch(
        self, members: Iterable[Member], *, name: str = "", allow_failures: bool = False
    ) -> PendingBatch:
        """Jobs to run beside each other and be counted together: `jobs.batch([chunk(n=1),
        chunk(n=2)], name="Import").then(notify(user=7)).dispatch()`. A member may be a chain.
        Raises ConfigError."""
        from tabur.jobs.composing.pending import PendingBatch, checked_members

        return PendingBatch(
            sender=self._sending,
            members=checked_members(members),
            name=name,
            may_fail=allow_failures,
        )

    def workflow(self, name: str) -> Workflow:
        """A graph of jobs, to which steps are added: `flow.add("load", load(), after=["clean"])`.
        Raises ConfigError."""
        from tabur.jobs.composing.workflow import Workflow

        return Workflow(name, self._sending)

    def find_batch(self, batch_id: str | UUID) -> BatchHandle | None:
        """The handle of a batch, a chain or a workflow, whichever of `connections` it is on; None
        where no store knows it."""
        from tabur.jobs.composing.handle import find_batch

        return find_batch(self.drivers, str(batch_id), self.seals)

    def find_workflow(self, workflow_id: str | UUID) -> WorkflowHandle | None:
        """As `find_batch`; None also for a batch that is no workflow."""
        from tabur.jobs.composing.running import find_workflow

        return find_workflow(self.drivers, str(workflow_id), self.seals)

    def batches(self, *, limit: int = 100) -> list[BatchStatus]:
        """The newest batches, chains and workflows of all `connections`, newest first."""
        from tabur.jobs.composing.handle import newest_batches

        return newest_batches(self.drivers, limit=limit)

    def handle(self, job_id: str | UUID) -> JobHandle[Any]:
        """The handle of a job by its id, whichever of `connections` it is on. Raises JobNotFound
        for what is no id."""
        return JobHandle(self.drivers, str(job_id), seals=self.seals)

    def scope(
        self,
        *,
        tenant: str | None = None,
        user: str | None = None,
        locale: str | None = None,
        traceparent: str | None = None,
    ) -> AbstractContextManager[None]:
        """Whom the jobs dispatched inside belong to, their language, and the trace that they are
        part of: a request's header `traceparent`, which is passed over where it is not valid.
        Raises ConfigError."""
        for what, value in (("tenant", tenant), ("user", user), ("locale", locale)):
            if value is not None:
                check_name(value, what)
        trace = read_traceparent(traceparent) or self._scope.get().traceparent
        return self._scope.entered(Scope(tenant, user, locale, trace))

    @contextmanager
    def fake(
        self, *, only: Collection[AnyJob] | None = None, except_: Collection[AnyJob] = ()
    ) -> Iterator[FakeQueue]:
        """Record dispatches instead of sending them, for tests; encrypted jobs need no key. With
        `only` those of some jobs, with `except_` those of all but some: the others are dispatched
        as ever. Raises ConfigError."""
        from tabur.dispatch.recording import Faked, FakeQueue, RecordingDispatcher
        from tabur.drivers.fake import FakeDriver, FakeStores, PartlyFakeStores
        from tabur.worker.inline import run_due

        faked, driver = Faked(only, except_), FakeDriver()
        seals, own = faked_seals(self.settings, self.registry.get)
        runtime = Runtime(
            self.registry,
            self._scope,
            self.settings,
            lambda: driver,
            self._sessions,
            self._listeners,
            seals,
        )
        queue = FakeQueue(driver, connection=self.connection, work=lambda: run_due(runtime))
        stores = FakeStores(driver)
        before = self._dispatcher, self._stores, self.seals
        inner = StoreDispatcher(self._routing.routes(stores.get), self._scope, lambda: seals)
        self._dispatcher = RecordingDispatcher(inner, queue, faked, others=self._dispatcher)
        self._stores = stores if faked.all else PartlyFakeStores(self._stores, driver)
        self.seals = seals if faked.all else own
        try:
            yield queue
        finally:
            self._dispatcher, self._stores, self.seals = before

    # the stores

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
