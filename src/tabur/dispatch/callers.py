"""Callers' own transactions: SQLAlchemy sessions and connections, synchronous and not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabur.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.orm import Session, SessionTransaction


def is_async(session: Any) -> bool:
    """Whether it is an AsyncSession or AsyncConnection; looked up without importing them."""
    module = sys.modules.get("sqlalchemy.ext.asyncio")
    return module is not None and isinstance(
        session, module.AsyncSession | module.async_scoped_session | module.AsyncConnection
    )


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


def sync_session(session: Any) -> Session:
    found: Session | None = getattr(session, "sync_session", None)
    if found is None:
        raise ConfigError("after_commit=True needs a Session or AsyncSession, not a connection.")
    return found


def after_commit(session: Any, send: Callable[[], None]) -> None:
    """Call `send` once the session's outermost transaction has committed; never on the release of
    a SAVEPOINT, and not at all when that SAVEPOINT or the whole is rolled back."""
    from sqlalchemy.orm import Session

    if callable(session) and hasattr(session, "registry"):  # a scoped_session
        session = session()
    if not isinstance(session, Session):
        raise ConfigError("after_commit=True needs a Session or AsyncSession, not a connection.")
    waiting = session.info.get(_KEY)
    if waiting is None:
        waiting = session.info[_KEY] = _Waiting(session)
    waiting.add(send)


_KEY = "tabur.after_commit"


class _Waiting:
    """What waits for one session's commit, each with the transactions that it lies in."""

    def __init__(self, session: Session) -> None:
        from sqlalchemy import event

        self._session = session
        self._sends: list[tuple[list[SessionTransaction], Callable[[], None]]] = []
        event.listen(session, "after_commit", self._committed)
        event.listen(session, "after_soft_rollback", self._rolled_back)

    def add(self, send: Callable[[], None]) -> None:
        if not self._session.in_transaction():
            self._session.begin()
        inside: list[SessionTransaction] = []
        current = self._session.get_nested_transaction() or self._session.get_transaction()
        while current is not None:
            inside.append(current)
            current = current.parent
        self._sends.append((inside, send))

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():  # SQLAlchemy also tells of a SAVEPOINT's release
            return
        sends, self._sends = self._sends, []
        for _, send in sends:
            send()

    def _rolled_back(self, session: Session, rolled_back: SessionTransaction) -> None:
        self._sends = [each for each in self._sends if rolled_back not in each[0]]
