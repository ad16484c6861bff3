"""`Tabur`: the one object an application has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast
from uuid import UUID

from tabur.app.scheduled import Scheduled
from tabur.config import Settings, from_env, make_settings
from tabur.dispatch.dispatcher import StoreDispatcher
from tabur.errors import ConfigError
from tabur.events import Event
from tabur.jobs.definition import define_function
from tabur.jobs.function import FunctionJob, JobDecorator
from tabur.jobs.handle import JobHandle
from tabur.jobs.job import Job, define_class
from tabur.jobs.middleware import Middleware, made
from tabur.jobs.options import DeclaredOptions, check_name, declared
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import Scope
from tabur.jobs.seals import faked_seals
from tabur.model.trace import read_traceparent
from tabur.worker.runtime import Runtime

if TYPE_CHECKING:
    from tabur.dispatch.recorded_plans import AnyJob
    from tabur.dispatch.recording import FakeQueue
    from tabur.jobs.composing.handle import BatchHandle, BatchStatus
    from tabur.jobs.composing.pending import Link, Member, PendingBatch, PendingChain
    from tabur.jobs.composing.running import WorkflowHandle
    from tabur.jobs.composing.workflow import Workflow

R = TypeVar("R")
E = TypeVar("E", bound=Event)
T = TypeVar("T")
J = TypeVar("J", bound=type[Job[Any]])


class Tabur(Scheduled):
    """Declares jobs, dispatches them, and knows the store they live in.

    `Tabur(connection="database", database_url="sqlite:///var/tabur.sqlite3", …)` takes the settings
    of `tabur.config.Settings` as keywords. Nothing is opened before it is needed; several may live
    side by side. Raises ConfigError.
    """

    def __init__(self, connection: str = "database", **settings: Any) -> None:
        super().__init__(make_settings({"connection": connection, **settings}))

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
