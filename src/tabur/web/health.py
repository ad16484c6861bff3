"""The health app: whether this web process lives, and whether it can dispatch; for probes."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from threading import Thread

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from tabur.app import Tabur
from tabur.errors import SchemaMissing, StoreError
from tabur.web.answers import json_response

_log = logging.getLogger("tabur.web")

#: Seconds between two looks whether the store has answered.
LONGEST_PAUSE = 0.05


def health_app(jobs: Tabur, *, timeout: float = 3.0) -> HealthApp:
    """An ASGI app to be mounted: `app.mount("/health", health_app(jobs))`.

    `GET /` and `/ready`: 200 where each store in use answers within `timeout` seconds and has its
    tables (of `failover` one will do), else 503. `GET /live`: 200, always: a store that is down is
    no reason to restart a web process. Anybody may ask; nothing is told but the number of workers.
    """
    return HealthApp(jobs, timeout=timeout)


class HealthApp:
    """See `health_app`."""

    def __init__(self, jobs: Tabur, *, timeout: float) -> None:
        self._jobs = jobs
        self._timeout = timeout
        self._was_ready = True
        self._looking: Future[int | str] | None = None
        self._router = Router(
            [
                Route("/", self._ready),
                Route("/ready", self._ready),
                Route("/live", self._live),
            ],
            redirect_slashes=False,
        )

    @property
    def routes(self) -> list[BaseRoute]:
        return self._router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    async def _live(self, request: Request) -> Response:
        return json_response({"status": "live"})

    async def _ready(self, request: Request) -> Response:
        found: int | str = f"the store has not answered within {self._timeout:g} s"
        with anyio.move_on_after(self._timeout):
            found = await self._looked()
        if isinstance(found, int):
            self._was_ready = True
            return json_response({"status": "ready", "workers": found})
        if self._was_ready:  # probes come every few seconds: once is enough
            self._was_ready = False
            _log.error("not ready: %s", found)
        return json_response({"status": "not ready", "reason": found}, 503)

    async def _looked(self) -> int | str:
        """What the look that is under way finds, or a new one. However many ask a store that does
        not answer, they hold one thread, and none of those that the app's own pages run in."""
        look = self._looking
        if look is None or look.done():
            look = self._looking = Future()
            Thread(target=self._look_into, args=(look,), name="tabur-health", daemon=True).start()
        pause = 0.001
        while not look.done():
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return look.result()

    def _look_into(self, look: Future[int | str]) -> None:
        look.set_result(self._look())

    def _look(self) -> int | str:
        """The number of workers that are registered, or why this process cannot dispatch."""
        workers = 0
        failover = self._jobs.settings.failover if self._jobs.connection == "failover" else ()
        spare = len(failover)
        for name in self._jobs.connections:
            try:
                workers += len(self._jobs.driver_of(name).workers.list())
            except Exception as error:
                spare -= name in failover
                if name not in failover or not spare:
                    if self._was_ready:
                        _log.warning("connection %s: %s", name, error)
                    return _reason(error)
        return workers


def _reason(error: Exception) -> str:
    """A few words for anybody: the rest, which may name a host or a file, is in the log."""
    if isinstance(error, SchemaMissing):
        return "the tables are missing: tabur migrate"
    if isinstance(error, StoreError):
        return "the store does not answer"
    return "the store cannot be asked"
