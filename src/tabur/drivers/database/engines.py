"""Engines for jobs' own transactions, where an application gives none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from tabur.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

#: Connections that one process keeps for them, and seconds that a job waits for one.
POOL, POOL_PATIENCE = 5, 30.0


def make_engine(url: URL, connect: Mapping[str, Any]) -> Engine:
    return create_engine(
        url,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=POOL_PATIENCE,
        pool_pre_ping=True,  # a connection that died while it was idle is no fault of the next job
        connect_args=dict(connect),
    )


def make_async_engine(
    url: URL, connect: Mapping[str, Any], *, clients: Mapping[str, str]
) -> AsyncEngine:
    """`clients`: the modules of those that may serve, by SQLAlchemy's names. None of their
    connections is kept: it would belong to an event loop, and each job in a process has one of its
    own."""
    client = next((name for name, module in clients.items() if find_spec(module)), None)
    if client is None:
        raise ConfigError(
            f"No asynchronous client for {url.get_backend_name()} is installed: pip install "
            f"{next(iter(clients))}, or give sessions of yours: jobs.use_sessions(…)."
        )
    if find_spec("greenlet") is None:
        raise ConfigError('Asynchronous sessions need greenlet: pip install "sqlalchemy[asyncio]"')
    from sqlalchemy.ext.asyncio import create_async_engine

    return create_async_engine(
        url.set(drivername=f"{url.get_backend_name()}+{client}"),
        poolclass=NullPool,
        connect_args=dict(connect),
    )
