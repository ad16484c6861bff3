"""What is to happen when a caller's own transaction has committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tabur.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, SessionTransaction


def sync_session(session: Any) -> Session:
    found: Session | None = getattr(session, "sync_session", None)
    if found is None:
        raise ConfigError("after_commit=True needs a Session or AsyncSession, not a connection.")
    return found


def after_commit(session: Any, send: Callable[[], object]) -> None:
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


def when_committed(connection: Connection, tell: Callable[[], None]) -> None:
    """Call `tell` once the transaction that is open on `connection` has committed."""
    from sqlalchemy import event

    ended: list[bool] = []

    def committed(_: Connection) -> None:
        if not ended:
            tell()
        ended.append(True)

    event.listen(connection, "commit", committed, once=True)
    event.listen(connection, "rollback", lambda _: ended.append(True), once=True)


_KEY = "tabur.after_commit"


class _Waiting:
    """What waits for one session's commit, each with the transactions that it lies in."""

    def __init__(self, session: Session) -> None:
        from sqlalchemy import event

        self._session = session
        self._sends: list[tuple[list[SessionTransaction], Callable[[], object]]] = []
        event.listen(session, "after_commit", self._committed)
        event.listen(session, "after_soft_rollback", self._rolled_back)

    def add(self, send: Callable[[], object]) -> None:
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
