"""Checkpoints: a cursor that is kept with a chunk of a job's work, under the token of its claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabur.errors import ClaimLost, ConfigError
from tabur.jobs.sessions import async_connection_of, connection_of, is_async
from tabur.jobs.settling import RunningJob, is_lost, own_settle_of
from tabur.model.codec import encode_cursor

if TYPE_CHECKING:
    from sqlalchemy import Connection


def checkpoint(ctx: RunningJob, session: Any, cursor: Any) -> None:
    raw = encode_cursor(cursor)
    if is_async(session):
        raise ConfigError(
            "The session is asynchronous: write await ctx.checkpoint_async(session, cursor=…)."
        )
    try:
        _keep_in(ctx, connection_of(session), raw)
    except Exception as error:
        if isinstance(error, ClaimLost) or is_lost(ctx, error):
            session.rollback()  # here, so that whoever swallows the error commits nothing either
            raise ClaimLost(ctx.job_id) from error
        raise


async def checkpoint_async(ctx: RunningJob, session: Any, cursor: Any) -> None:
    import asyncio

    raw = encode_cursor(cursor)
    if not is_async(session):
        raise ConfigError(
            "The session is not asynchronous: write ctx.checkpoint(session, cursor=…)."
        )
    connection = await async_connection_of(session)
    try:
        await connection.run_sync(lambda sync: _keep_in(ctx, sync, raw))
    except Exception as error:
        if isinstance(error, ClaimLost) or await asyncio.to_thread(is_lost, ctx, error):
            await session.rollback()
            raise ClaimLost(ctx.job_id) from error
        raise


def _keep_in(ctx: RunningJob, connection: Connection, cursor: bytes) -> None:
    state, backing = own_settle_of(ctx), ctx.backing
    if state.lost:
        raise ClaimLost(ctx.job_id)
    state.check("ctx.checkpoint()")
    fence = backing.fence("ctx.checkpoint()")
    if fence is None:
        backing.keep(connection, ctx.job.id, cursor)
    elif not fence.checkpoint_in(connection, ctx.job.id, ctx.job.token, cursor):
        state.lost = True
        raise ClaimLost(ctx.job_id)
