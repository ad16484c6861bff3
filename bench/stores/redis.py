"""Redis: a server of its own that keeps nothing on disk, a numbered database each measurement."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench.stores.store import cpu_of
from servers.redis import RedisServer

DATABASES = 64


class Redis:
    name = "redis"
    title = "Redis"
    durability = (
        "no persistence (--save '' --appendonly no), for Tabur and for every rival alike:"
        " what is measured dies with the server"
    )
    variables: ClassVar[Mapping[str, str]] = {"QUEUE_CONNECTION": "redis", "REDIS_URL": "{url}"}
    counts = "round trips"

    def start(self) -> None:
        import redis

        self._server = RedisServer.start(
            *("--save", ""), *("--appendonly", "no"), *("--databases", str(DATABASES))
        )
        self._client = redis.Redis.from_url(self._server.url())
        self._numbers = itertools.cycle(range(DATABASES))

    def stop(self) -> None:
        self._client.close()
        self._server.stop()

    def version(self) -> str:
        return str(self._info("server")["redis_version"])

    def take(self, folder: Path) -> str:
        url = self._server.url(next(self._numbers))
        self.give_back(url)
        return url

    def give_back(self, url: str) -> None:
        import redis

        with redis.Redis.from_url(url) as client:
            client.flushdb(asynchronous=False)

    def calm(self) -> None:
        """Nothing is written."""

    def cpu(self) -> float:
        return cpu_of(self._server.pid)

    def count_statements(self, url: str) -> None:
        """The server counts always."""
        self._asked = 0

    def statements(self, url: str) -> int | None:
        """Reads from sockets: a script and all it does count once, as does a pipeline."""
        self._asked += 1
        return int(self._info("stats")["total_reads_processed"]) - self._asked

    def _info(self, section: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.info(section)
        return answer
