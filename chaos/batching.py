"""Members of a batch that fail for good."""

from __future__ import annotations

import asyncio

from chaos.app import jobs, mark
from chaos.ledger import RAISED, STARTED
from tabur import JobContext


@jobs.job()
async def doomed(ctx: JobContext, number: int, ms: int) -> None:
    mark(STARTED, ctx, number)
    await asyncio.sleep(ms / 1000)
    mark(RAISED, ctx, number)
    raise LookupError(f"{number}: it always does")
