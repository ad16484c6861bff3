"""The whole job in one transaction, with its own end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tabur.jobs.context import JobContext
from tabur.jobs.middleware import Next
from tabur.jobs.transaction import JobTransaction

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
    from sqlalchemy.orm import sessionmaker

    Sessions = sessionmaker[Any] | Engine | async_sessionmaker[Any] | AsyncEngine


class InTransaction:
    """Runs the whole job in `ctx.transaction()`: its rows in `ctx.session` (`ctx.async_session` of
    an `async def` job), what it returns, what it dispatches and its own end commit together, or
    none of it. Sessions come from where those of `ctx.transaction()` come from.

    It stands last in the list: what follows runs inside, and must not ask the store.
    """

    def __init__(self, sessions: Sessions | None = None) -> None:
        self._sessions = sessions

    def handle(self, job: JobContext, next: Next) -> Any:
        with JobTransaction(job, self._sessions) as session, _open(job, session):
            _keep(job, next(job))
        return job.result

    async def handle_async(self, job: JobContext, next: Next) -> Any:
        async with JobTransaction(job, self._sessions) as session:
            with _open(job, session):
                _keep(job, await next(job))
        return job.result


@contextmanager
def _open(job: JobContext, session: Any) -> Iterator[None]:
    job.open_session = session
    try:
        yield
    finally:
        job.open_session = None


def _keep(job: JobContext, value: Any) -> None:
    if value is not None:
        job.result = value
