"""Server-sent events: a job's status whenever it changes, until it has finished."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tabur.errors import StoreError
from tabur.web.representation import Representation

Look = Callable[[], Awaitable[Representation | None]]
"""Reads the job once; None where it is gone."""


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """What open event streams may cost; seconds, per process.

    `lasts`: then the stream ends and the browser comes back by itself with Last-Event-ID, so that
    no stream outlives a restart of the server or a sign-out for long.
    """

    at_most: int = 100
    pause: float = 1.0
    heartbeat: float = 15.0
    lasts: float = 300.0


class Streams:
    """The open streams of one status app."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self.open = 0

    @property
    def full(self) -> bool:
        return self.open >= self.limits.at_most


class EventStream(Response):
    """Sends `first` (unless the client has it already, by its Last-Event-ID) and every change.

    Ends when the job has finished, when it is gone, when the client goes away, or after
    `limits.lasts`. Looks at the store once per `limits.pause` and no oftener.
    """

    def __init__(
        self,
        first: Representation,
        look: Look,
        *,
        streams: Streams,
        seen: str | None,
        full: Response,
    ) -> None:
        super().__init__(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "private, no-cache",
                "X-Accel-Buffering": "no",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            }
        )
        del self.headers["content-length"]
        self._first = first
        self._look = look
        self._streams = streams
        self._seen = seen
        self._full = full

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._streams.full:
            await self._full(scope, receive, send)
            return
        self._streams.open += 1
        try:
            async with anyio.create_task_group() as group:

                async def until_client_leaves() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(until_client_leaves)
                with suppress(OSError):  # the client went away while it was being sent to
                    await self._send_all(scope, send)
                group.cancel_scope.cancel()
        finally:
            self._streams.open -= 1

    async def _send_all(self, scope: Scope, send: Send) -> None:
        async def write(text: str, *, more: bool = True) -> None:
            message: dict[str, Any] = {"type": "http.response.body", "body": text.encode()}
            await send(message | {"more_body": more})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            await write("retry: 2000\n\n")
            await self._follow(write)
        await write("", more=False)

    async def _follow(self, write: Callable[[str], Awaitable[None]]) -> None:
        limits = self._streams.limits
        current: Representation | None = self._first
        seen, spoke = self._seen, anyio.current_time()
        ends = spoke + limits.lasts
        while current is not None:
            if current.tag != seen:
                await write(f"id: {current.tag}\ndata: {current.body.decode()}\n\n")
                seen, spoke = current.tag, anyio.current_time()
            if current.finished or anyio.current_time() >= ends:
                return
            await anyio.sleep(limits.pause)
            if anyio.current_time() - spoke >= limits.heartbeat:
                await write(": still here\n\n")
                spoke = anyio.current_time()
            try:
                current = await self._look()
            except StoreError:
                continue  # as it was, as far as we know; the next look may reach the store
