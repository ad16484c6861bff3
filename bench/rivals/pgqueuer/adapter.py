"""pgqueuer on PostgreSQL: asyncpg, large batches."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.adapter import BaseAdapter, python, url
from bench.ledger import ledger

PIECE = 1_000  # jobs in one call
DSN = url("postgresql")


@contextlib.asynccontextmanager
async def worker() -> AsyncIterator[PgQueuer]:
    logging.getLogger("pgqueuer").setLevel(logging.ERROR)
    connection = await asyncpg.connect(DSN)
    queue = PgQueuer(AsyncpgDriver(connection))
    counted = ledger()

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        counted.mark(int(job.payload))

    try:
        yield queue
    finally:
        await connection.close()


class Adapter(BaseAdapter):
    def prepare(self) -> None:
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._run = self._loop.run_until_complete
        self._connection = self._run(asyncpg.connect(DSN))
        self._queries = Queries(AsyncpgDriver(self._connection))
        self._run(self._queries.install())

    def dispatch(self, n: int) -> None:
        self._run(self._queries.enqueue("noop", str(n).encode()))

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        async def each() -> None:
            for n in numbers:
                await self._queries.enqueue("noop", str(n).encode())

        self._run(each())

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        async def many() -> None:
            for first in range(0, len(numbers), PIECE):
                piece = numbers[first : first + PIECE]
                payloads = [str(n).encode() for n in piece]
                await self._queries.enqueue(["noop"] * len(piece), payloads, [0] * len(piece))

        self._run(many())

    def unfinished(self) -> int:
        return self._run(self._connection.fetchval("SELECT count(*) FROM pgqueuer"))

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        module = "bench.rivals.pgqueuer.adapter:worker"
        run = python("-m", "pgqueuer", "run", module, "--batch-size", "500")
        return [run] * processes

    def close(self) -> None:
        self._run(self._connection.close())
