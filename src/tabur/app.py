"""`Tabur`: the one object an application has, and the one place where the parts are wired."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast
from uuid import UUID

from tabur.config import Settings, from_env, make_settings
from tabur.dispatch.dispatcher import StoreDispatcher
from tabur.drivers.contract import Driver, Transactional
from tabur.errors import ConfigError
from tabur.jobs.definition import define_function
from tabur.jobs.function import FunctionJob, JobDecorator
from tabur.jobs.handle import JobHandle
from tabur.jobs.job import Job, define_class
from tabur.jobs.options import DeclaredOptions, check_name, declared
from tabur.jobs.pending import Dispatcher, PendingJob
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope, Scope
from tabur.worker.runtime import Runtime

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tabur.dispatch.recording import FakeQueue

R = TypeVar("R")
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
        self._scope = CurrentScope()
        self._lock = threading.RLock()
        self._driver: Driver | None = None
        self._dispatcher: Dispatcher = StoreDispatcher(
            lambda: self.driver,
            self._scope,
            default_queue=self.settings.queue,
            run_inline=self._run_inline if connection == "sync" else None,
        )
        self._sending: Dispatcher = _Switch(lambda: self._dispatcher)

    @classmethod
    def from_env(cls, env_file: str | Path | None = ".env", **overrides: Any) -> Tabur:
        """Settings from QUEUE_CONNECTION, DATABASE_URL, TABUR_KEY, TABUR_ENV and `.env`; keyword
        arguments win over the environment, the environment over the file."""
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

    # dispatching and looking

    def dispatch_many(self, jobs: Iterable[PendingJob[Any] | Job[Any]]) -> list[JobHandle[Any]]:
        """Dispatch many in one transaction: one statement, not a thousand."""
        return self._dispatcher.dispatch_many(
            each.pending() if isinstance(each, Job) else each for each in jobs
        )

    def handle(self, job_id: str | UUID) -> JobHandle[Any]:
        """The handle of a job by its id. Raises JobNotFound for what is no id."""
        return JobHandle(self.driver, str(job_id))

    def scope(
        self, *, tenant: str | None = None, user: str | None = None, locale: str | None = None
    ) -> AbstractContextManager[None]:
        """Whom the jobs dispatched inside belong to, and their language. Raises ConfigError."""
        for what, value in (("tenant", tenant), ("user", user), ("locale", locale)):
            if value is not None:
                check_name(value, what)
        return self._scope.entered(Scope(tenant, user, locale))

    @contextmanager
    def fake(self) -> Iterator[FakeQueue]:
        """Record dispatches instead of sending them, for tests."""
        from tabur.dispatch.recording import FakeQueue, RecordingDispatcher
        from tabur.drivers.fake import FakeDriver

        driver = FakeDriver()
        queue = FakeQueue(driver)
        before = self._dispatcher, self._driver
        inner = StoreDispatcher(lambda: driver, self._scope, default_queue=self.settings.queue)
        self._dispatcher, self._driver = RecordingDispatcher(inner, queue), driver
        try:
            yield queue
        finally:
            self._dispatcher, self._driver = before

    # the store

    @property
    def connection(self) -> str:
        return self.settings.connection

    @property
    def key(self) -> str | None:
        return self.settings.key

    @property
    def driver(self) -> Driver:
        """The store, opened when first needed. Raises ConfigError, StoreUnavailable."""
        if self._driver is None:
            with self._lock:
                if self._driver is None:
                    self._driver = _open(self.settings)
        return self._driver

    def migrate(self) -> list[str]:
        """Make the tables or bring them up to date; safe to repeat. Answers what was done."""
        return list(self.driver.migrate())

    def install(self, engine: Engine) -> None:
        """Prepare the application's own engine for dispatch in its transactions."""
        driver = self.driver
        if not isinstance(driver, Transactional):
            raise ConfigError(f"install() is for QUEUE_CONNECTION=database, not {driver.name}.")
        driver.install(engine)

    def attachment_path(self, relative: str) -> Path:
        """Where a job's attachment lies; `relative` as `Attachment.path` gives it."""
        return self.settings.attachments / relative

    @property
    def runtime(self) -> Runtime:
        """What a worker needs of this app."""
        return Runtime(self.registry, self._scope, self.settings, lambda: self.driver)

    def close(self) -> None:
        """Close the store's connections; the next use opens them again."""
        with self._lock:
            if self._driver is not None:
                self._driver.close()
                self._driver = None

    def _run_inline(self) -> None:
        from tabur.worker.inline import drain

        drain(self.runtime)


class _Switch:
    """Stands between declared jobs and the dispatcher, which `fake()` exchanges."""

    def __init__(self, current: Callable[[], Dispatcher]) -> None:
        self._current = current

    def dispatch(self, pending: PendingJob[R]) -> JobHandle[R]:
        return self._current().dispatch(pending)

    def dispatch_many(self, pending: Iterable[PendingJob[Any]]) -> list[JobHandle[Any]]:
        return self._current().dispatch_many(pending)

    def dispatch_async(self, pending: PendingJob[R]) -> Awaitable[JobHandle[R]]:
        return self._current().dispatch_async(pending)


def _open(settings: Settings) -> Driver:
    if settings.connection == "database":
        from tabur.drivers.database.driver import DatabaseDriver

        return DatabaseDriver(settings.database_url)
    from tabur.drivers.memory.driver import MemoryDriver

    return MemoryDriver(name=settings.connection)
