"""SQLAlchemy sessions: the connection that one works on, and where those of jobs come from."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from tabur.drivers.contract import Driver, Fencing
from tabur.errors import ConfigError

if TYPE_CHECKING:
    import asyncio

    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import (
        AsyncConnection,
        AsyncEngine,
        AsyncSession,
        async_sessionmaker,
    )
    from sqlalchemy.orm import Session, sessionmaker

#: Sessions at once on the asynchronous engine of our own, which keeps no connections: each opens
#: one, and a hundred coroutines would open a hundred.
ROOM = 5


def is_async(session: Any) -> bool:
    """Whether it is an AsyncSession or AsyncConnection."""
    return _is_one_of(session, "AsyncSession", "async_scoped_session", "AsyncConnection")


def connection_of(session: Any) -> Connection:
    """The connection on which a Session (or scoped_session) works, or the Connection itself."""
    from sqlalchemy import Connection

    if isinstance(session, Connection):
        return session
    try:
        connection: Connection = session.connection()
    except AttributeError:
        raise ConfigError(
            f"session={type(session).__name__}: a SQLAlchemy Session, Connection, AsyncSession or "
            "AsyncConnection is needed."
        ) from None
    return connection


async def async_connection_of(session: Any) -> AsyncConnection:
    from sqlalchemy.ext.asyncio import AsyncConnection

    if isinstance(session, AsyncConnection):
        return session
    connection: AsyncConnection = await session.connection()
    return connection


class Sessions:
    """Makes the sessions of jobs' own transactions: the application's own kind, or on an engine of
    ours. `database` answers the driver that can make such an engine."""

    def __init__(self, database: Callable[[], Driver]) -> None:
        self._database = database
        self._factory: sessionmaker[Any] | Engine | None = None
        self._async_factory: async_sessionmaker[Any] | AsyncEngine | None = None
        self._engine: Engine | None = None
        self._async_engine: AsyncEngine | None = None
        self._room: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )
        self._lock = threading.Lock()

    def use(self, *factories: Any) -> None:
        """Take these from now on: one that is synchronous, one that is not, or both. Raises
        ConfigError."""
        for given in factories:
            if _is_async_factory(given):
                self._async_factory = given
            else:
                self._factory = _checked(given)

    def session(self, given: Any = None) -> Session:
        """A new session. Raises ConfigError."""
        from sqlalchemy import Engine
        from sqlalchemy.orm import Session

        if _is_async_factory(given):
            raise ConfigError("The sessions given are asynchronous: write async with, not with.")
        factory = _checked(given) if given is not None else self._factory or self._own()
        if isinstance(factory, Engine):
            return Session(factory)
        session: Session = factory()
        return session

    def async_session(self, given: Any = None) -> AsyncSession:
        """A new asynchronous session. Raises ConfigError."""
        from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

        if given is not None and not _is_async_factory(given):
            _checked(given)
            raise ConfigError("The sessions given are synchronous: write with, not async with.")
        factory = given if given is not None else self._async_factory or self._own_async()
        if isinstance(factory, AsyncEngine):
            return AsyncSession(factory)
        session: AsyncSession = factory()
        return session

    def room(self, given: Any = None) -> asyncio.Semaphore | None:
        """What an asynchronous session on our own engine is to wait for; None for another's."""
        import asyncio

        if given is not None or self._async_factory is not None:
            return None
        loop = asyncio.get_running_loop()
        return self._room.setdefault(loop, asyncio.Semaphore(ROOM))

    def close(self) -> None:
        """Close the connections of our own engine; the next use opens them again."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = self._async_engine = None

    def _own(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._maker().make_engine()
            return self._engine

    def _own_async(self) -> AsyncEngine:
        with self._lock:
            if self._async_engine is None:
                self._async_engine = self._maker().make_async_engine()
            return self._async_engine

    def _maker(self) -> Fencing:
        database = self._database()
        if not isinstance(database, Fencing):  # inside `jobs.fake()`
            raise ConfigError(
                "Where do sessions come from? Write jobs.use_sessions(sessionmaker(engine)), or "
                "ctx.transaction(sessionmaker(engine))."
            )
        return database


def _is_async_factory(given: Any) -> bool:
    return _is_one_of(given, "async_sessionmaker", "AsyncEngine")


def _is_one_of(given: Any, *names: str) -> bool:
    """Whether it is of SQLAlchemy's asynchronous side, which is not imported for that. Another
    thread may be about to: then it has not all its names yet, and `given` is not of them."""
    module = sys.modules.get("sqlalchemy.ext.asyncio")
    kinds = (getattr(module, name, None) for name in names)
    return isinstance(given, tuple(kind for kind in kinds if kind is not None))


def _checked(given: Any) -> sessionmaker[Any] | Engine:
    from sqlalchemy import Engine
    from sqlalchemy.orm import sessionmaker

    if not isinstance(given, sessionmaker | Engine):
        raise ConfigError(
            f"Sessions come from a sessionmaker, an async_sessionmaker, an Engine or an "
            f"AsyncEngine, not from a {type(given).__name__}: what is made for each job must be "
            "new."
        )
    return given
