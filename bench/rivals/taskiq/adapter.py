"""taskiq on Redis streams, the broker that acknowledges; no results."""

import asyncio
from collections.abc import Iterable, Sequence

import redis
import uvloop
from taskiq_redis import RedisStreamBroker

from bench.adapter import BaseAdapter, python, url
from bench.ledger import ledger

# From the first message on, not from those after the worker's start, which would lose some.
broker = RedisStreamBroker(url=url(), consumer_id="0")
counted = ledger()


@broker.task
async def noop(n: int) -> None:
    counted.mark(n)


class Adapter(BaseAdapter):
    def prepare(self) -> None:
        self._loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._run = self._loop.run_until_complete
        self._run(broker.startup())
        self._redis = redis.Redis.from_url(url())

    def dispatch(self, n: int) -> None:
        self._run(noop.kiq(n))

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        async def each() -> None:
            for n in numbers:
                await noop.kiq(n)

        self._run(each())

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        async def many() -> None:
            for first in range(0, len(numbers), 100):
                await asyncio.gather(*(noop.kiq(n) for n in numbers[first : first + 100]))

        self._run(many())

    def unfinished(self) -> int:
        """The stream keeps what is done: delivered and not acknowledged, and not delivered."""
        (group,) = self._redis.xinfo_groups("taskiq")
        return group["pending"] + (group["lag"] or 0)

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        module = "bench.rivals.taskiq.adapter:broker"
        return [python("-m", "taskiq", "worker", module, "-w", str(processes))]

    def close(self) -> None:
        self._run(broker.shutdown())
